# Pinned permutation tests of metafor: exact ones of a mean (sign flips) and of a moderator (orders) on small parts of
# many data sets, and random ones of the whole sets.
#
#   Rscript generate_permutest.R     # from any folder, after generate_univariate.R and generate_regression.R
#
# reads metafor_univariate.json and regression.json, writes metafor_permutest.json next to itself. Needs R with metafor
# and jsonlite. Only calls public functions and records what they answer; the seed is set, so that a second run with the
# same versions gives the same bytes. Takes ten minutes.

suppressPackageStartupMessages({
  library(metafor)
  library(jsonlite)
})

argv <- commandArgs(FALSE)
self <- sub("^--file=", "", argv[grep("^--file=", argv)])
here <- if (length(self)) dirname(normalizePath(self[1])) else getwd()

univariate <- fromJSON(file.path(here, "metafor_univariate.json"))$cases
regressions <- fromJSON(file.path(here, "regression.json"))$cases
MEANS <- c("dat.bcg", "dat.hine1989", "dat.collins1985b", "dat.raudenbush1985", "dat.egger2001", "dat.linde2005",
           "dat.yusuf1985_table6", "dat.nielweise2008", "dat.hart1999", "dat.pritz1997", "dat.bangertdrowns2004",
           "dat.bonett2010", "dat.lee2004", "dat.cohen1981")
MODERATED <- list(c("bcg latitude", "ablat"), c("raudenbush weeks", "weeks"), c("bangertdrowns four", "length"),
                  c("molloy age and design", "meanage"), c("curtis method", "time"), c("hackshaw design and year", "year"),
                  c("baskerville trial", "score"), c("debruin scq", "scq"),
                  c("landenberger programme", "hrs_week"), c("viechtbauer dose", "dose"),
                  c("crede class", "year"), c("damico concealment", "year"), c("bornmann year", "year"))
FLIPPED <- 8   # effects of an exact test of a mean: 256 patterns
ORDERED <- 6   # effects of an exact test of a moderator: up to 720 orders
ITERATIONS <- 1000
RANDOM <- 12   # effects from which a random test of the whole set is made

spread <- function(k, n) unique(round(seq(1, k, length.out = min(k, n))))
control_of <- function(method, threshold) {
  if (method == "DL") return(list())
  list(tol = 1e-14, threshold = threshold, stepadj = 0.5, maxiter = 10000, tau2.max = 1e4)
}

# the sharpest stopping rule at which the scoring of every arrangement ends, or else how many did not
tested <- function(yi, vi, x, method, test, exact) {
  for (threshold in if (method == "DL") 1 else c(1e-14, 1e-12, 1e-10, 1e-8)) {
    control <- control_of(method, threshold)
    found <- tryCatch(suppressWarnings({
      fit <- if (is.null(x)) rma(yi, vi, method = method, test = test, control = control)
             else rma(yi, vi, mods = ~ x, method = method, test = test, control = control)
      set.seed(20)
      permutest(fit, exact = exact, iter = ITERATIONS, progbar = FALSE)
    }), error = function(e) NULL)
    if (is.null(found)) next
    failed <- sum(!is.finite(as.matrix(found$zval.perm)))
    if (failed == 0) break
  }
  if (is.null(found)) stop("no fit")
  out <- list(method = method, test = test, p = as.numeric(found$pval), failed = failed, orders = nrow(found$zval.perm))
  if (!is.null(x)) out$joint <- as.numeric(found$QMp)
  out
}

of_mean <- function(name) {
  yi <- univariate[[name]]$yi
  vi <- univariate[[name]]$vi
  few <- spread(length(yi), FLIPPED)
  out <- list(yi = yi[few], vi = vi[few], fits = list(tested(yi[few], vi[few], NULL, "DL", "z", TRUE),
                                                      tested(yi[few], vi[few], NULL, "REML", "z", TRUE)))
  if (length(yi) > RANDOM)
    out$random <- c(list(yi = yi, vi = vi), tested(yi, vi, NULL, "DL", "z", FALSE))
  out
}

of_moderator <- function(pair) {
  case <- regressions[[pair[1]]]
  x <- as.numeric(case$columns[[pair[2]]])
  few <- order(x)[spread(length(x), ORDERED)]  # order() is stable: rows from one end of the moderator to the other
  out <- list(yi = case$yi[few], vi = case$vi[few], x = x[few],
              fits = list(tested(case$yi[few], case$vi[few], x[few], "DL", "z", TRUE),
                          tested(case$yi[few], case$vi[few], x[few], "REML", "knha", TRUE)))
  if (length(x) > RANDOM)
    out$random <- c(list(yi = case$yi, vi = case$vi, x = x), tested(case$yi, case$vi, x, "DL", "knha", FALSE))
  out
}

means <- sapply(MEANS, of_mean, simplify = FALSE)
moderators <- setNames(lapply(MODERATED, of_moderator), vapply(MODERATED, paste, "", collapse = ": "))
meta <- list(generator = "generate_permutest.R", r_version = R.version.string,
             metafor = as.character(packageVersion("metafor")), iterations = ITERATIONS, seed = 20)
writeLines(toJSON(list(meta = meta, means = means, moderators = moderators), digits = I(17), auto_unbox = TRUE,
                  null = "null", na = "null"), file.path(here, "metafor_permutest.json"))
