# Pinned reference results of metafor for location-scale models: log tau2 regressed on moderators.
#
#   Rscript generate_location_scale.R     # from any folder
#
# writes location_scale.json next to itself: for each case the effects, the columns, both formulas as metaback writes
# them, and what rma(..., scale = ) answers with optim's BFGS at reltol 1e-15. Its standard errors of alpha need the
# package numDeriv and are left out; those that metaback gives are checked by 40-digit differences in the tests.

options(warn = 1)
suppressPackageStartupMessages({
  library(metafor)
  library(metadat)
  library(jsonlite)
})

argv <- commandArgs(FALSE)
self <- sub("^--file=", "", argv[grep("^--file=", argv)])
here <- if (length(self)) dirname(normalizePath(self[1])) else getwd()

one_method <- function(frame, mods, scale, method) {
  fit <- function(scale) {
    suppressWarnings(rma(yi, vi, mods = mods, scale = scale, data = frame, method = method, link = "log", skiphes = TRUE,
                         control = list(optimizer = "BFGS", reltol = 1e-15, maxit = 10000)))
  }
  res <- fit(scale)
  null <- fit(~ 1)
  list(beta = I(as.numeric(res$beta)), se = I(as.numeric(res$se)), alpha = I(as.numeric(res$alpha)),
       loglik = as.numeric(logLik(res)), lrt = 2 * (as.numeric(logLik(res)) - as.numeric(logLik(null))))
}
one_case <- function(frame, mods, scale) {
  keep <- unique(c(all.vars(mods), all.vars(scale)))
  frame <- as.data.frame(lapply(frame[c("yi", "vi", keep)], c))
  frame <- frame[complete.cases(frame), ]
  list(formula = paste(deparse(mods), collapse = ""), scale = paste(deparse(scale), collapse = ""),
       yi = frame$yi, vi = frame$vi, columns = as.list(frame[keep]),
       fits = sapply(c("REML", "ML"), function(m) one_method(frame, mods, scale, m), simplify = FALSE))
}

bcg <- escalc("RR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg)
bangert <- transform(dat.bangertdrowns2004, ni100 = ni / 100)

cases <- list(
  "bcg latitude" = one_case(bcg, ~ablat, ~ablat),
  "bangertdrowns size" = one_case(bangert, ~ni100, ~ni100),
  "bangertdrowns size, mean alone" = one_case(bangert, ~1, ~ni100),
  "bangertdrowns length" = one_case(bangert, ~length, ~length + meta))

meta <- list(generator = "generate_location_scale.R", r_version = R.version.string,
             metafor = as.character(packageVersion("metafor")), metadat = as.character(packageVersion("metadat")))
writeLines(toJSON(list(meta = meta, cases = cases), digits = I(17), auto_unbox = TRUE, pretty = TRUE),
           file.path(here, "location_scale.json"), useBytes = TRUE)
