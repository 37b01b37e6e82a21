# Pinned reference results of metafor for questions that are asked of a finished fit: leave-one-out, cumulative pools,
# influence, residuals, Baujat, predicted effects, profile likelihood and GOSH.
#
#   Rscript generate_influence.R     # in this folder; reads metafor_univariate.json, writes metafor_influence.json
#
# Needs R with metafor, metadat and jsonlite. Only calls their public functions and records what they answer.

suppressPackageStartupMessages({
  library(metafor)
  library(metadat)
  library(jsonlite)
})

given <- fromJSON("metafor_univariate.json")$cases
tight <- list(tol = 1e-14, stepadj = 0.5, maxiter = 10000, tau2.max = 1e4, threshold = 1e-14)
POOLS <- c("dat.bcg", "dat.normand1999", "dat.hackshaw1998", "dat.hine1989", "dat.collins1985b", "dat.raudenbush1985",
           "dat.egger2001", "dat.linde2005", "dat.konstantopoulos2011_district71", "dat.cannon2006",
           "dat.yusuf1985_table6", "dat.nielweise2008", "dat.hart1999", "dat.pritz1997", "dat.bangertdrowns2004")
WAYS <- list(DL = c("DL", "z"), REML = c("REML", "z"), ML = c("ML", "knha"), KNHA = c("REML", "knha"), EE = c("EE", "z"))
GOSH <- 7  # effects whose subsets are all pooled

numbers <- function(frame, names) {
  found <- lapply(names, function(name) as.numeric(frame[[name]]))
  setNames(found, names)
}

fit <- function(yi, vi, way, mods = NULL) {
  control <- if (way[1] %in% c("REML", "ML")) tight else list()
  if (is.null(mods)) return(rma(yi, vi, method = way[1], test = way[2], control = control))
  rma(yi, vi, mods = mods, method = way[1], test = way[2], control = control)
}

diagnosed <- function(found) {
  got <- influence(found)
  out <- numbers(as.data.frame(got$inf), c("rstudent", "dffits", "cook.d", "cov.r", "tau2.del", "QE.del", "hat", "weight"))
  out$dfbetas <- unname(as.matrix(as.data.frame(got$dfbs)))
  out$flagged <- unname(got$is.infl)
  out$rstandard <- as.numeric(rstandard(found)$z)
  out
}

pools <- c("estimate", "se", "pval", "ci.lb", "ci.ub", "Q", "Qp", "tau2", "I2", "H2")

asked <- function(yi, vi, way) {
  found <- fit(yi, vi, way)
  out <- diagnosed(found)
  random <- way[1] != "EE"
  kept <- if (random) pools else setdiff(pools, "tau2")
  without <- as.data.frame(leave1out(found))
  grown <- as.data.frame(cumul(found, order = vi))
  names(grown)[names(grown) == "pvals"] <- "pval"
  out$leave1out <- numbers(without, kept)
  out$cumul <- numbers(grown, kept)
  points <- baujat(found, progbar = FALSE)
  out$baujat <- list(x = points$x, y = points$y)
  if (random) out$blup <- numbers(as.data.frame(blup(found)), c("pred", "se", "pi.lb", "pi.ub"))
  if (way[1] %in% c("ML", "REML")) {
    curve <- profile(found, progbar = FALSE, plot = FALSE, xlim = c(0, 2 * found$tau2 + mean(vi)), steps = 9)
    out$profile <- list(tau2 = curve$tau2, ll = curve$ll, beta = as.numeric(unlist(curve$beta)))
  }
  out
}

one <- function(name) {
  yi <- given[[name]]$yi
  vi <- given[[name]]$vi
  out <- list(yi = yi, vi = vi, ways = lapply(WAYS, function(way) {
    tryCatch(suppressWarnings(asked(yi, vi, way)), error = function(e) list(error = conditionMessage(e)))
  }))
  few <- seq_len(min(GOSH, length(yi)))
  every <- gosh(fit(yi[few], vi[few], WAYS$REML), progbar = FALSE)
  out$gosh <- c(numbers(every$res, c("k", "QE", "I2", "tau2", "estimate")),
                list(code = as.numeric(every$incl %*% 2^(few - 1))))
  out
}

moderated <- function(yi, vi, x) {
  ok <- is.finite(yi) & is.finite(vi) & is.finite(x)
  yi <- as.numeric(yi)[ok]
  vi <- as.numeric(vi)[ok]
  x <- as.numeric(x)[ok]
  ways <- lapply(WAYS[c("DL", "REML", "KNHA", "EE")], function(way) diagnosed(fit(yi, vi, way, cbind(x = x))))
  list(yi = yi, vi = vi, x = x, ways = ways)
}

dev <- tempfile()
pdf(dev)  # baujat draws
results <- sapply(POOLS, one, simplify = FALSE)
bcg <- escalc("RR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg)
regressions <- list(
  "dat.bcg" = moderated(bcg$yi, bcg$vi, bcg$ablat),
  "dat.raudenbush1985" = moderated(dat.raudenbush1985$yi, dat.raudenbush1985$vi, dat.raudenbush1985$weeks),
  "dat.bangertdrowns2004" = moderated(dat.bangertdrowns2004$yi, dat.bangertdrowns2004$vi, dat.bangertdrowns2004$length))
weighted <- rma(bcg$yi, bcg$vi, weights = seq_len(13), method = "DL")
invisible(dev.off())
meta <- list(generator = "generate_influence.R", r_version = R.version.string,
             metafor = as.character(packageVersion("metafor")), metadat = as.character(packageVersion("metadat")))
writeLines(toJSON(list(meta = meta, cases = results, regressions = regressions,
                       weighted = list(yi = as.numeric(bcg$yi), vi = as.numeric(bcg$vi), found = diagnosed(weighted))),
                  digits = I(17), auto_unbox = TRUE, null = "null", na = "null"), "metafor_influence.json")
