# Pinned reference results of metafor for meta-regressions with one moderator.
#
#   Rscript generate_meta_regression.R     # from any folder
#
# writes meta_regression.json next to itself: coefficients, their standard
# errors, tau2, the test of residual heterogeneity and the restricted
# log-likelihood of DL, PM and REML on three data sets of metadat, with the
# tight control that README.md describes. No date or random number goes into
# the file, so a second run with the same versions gives the same bytes.

options(warn = 2)
suppressPackageStartupMessages({
  library(metafor)
  library(metadat)
})

argv <- commandArgs(FALSE)
self <- sub("^--file=", "", argv[grep("^--file=", argv)])
here <- if (length(self)) dirname(normalizePath(self[1])) else getwd()

number <- function(x) ifelse(is.finite(x), sprintf("%.17g", x), "null")
numbers <- function(x) paste0("[", paste(number(as.numeric(x)), collapse = ", "), "]")
object <- function(fields, indent) {
  pad <- strrep(" ", indent + 1)
  inner <- paste0(pad, "\"", names(fields), "\": ", unlist(fields), collapse = ",\n")
  paste0("{\n", inner, "\n", strrep(" ", indent), "}")
}

one_fit <- function(yi, vi, x, method) {
  control <- list(tol = 1e-14, threshold = 1e-14, stepadj = 0.5, maxiter = 10000)
  if (method == "PM") control$tau2.max <- max(100, 1e5 * max(var(yi), mean(vi)))
  wald <- rma(yi, vi, mods = ~ x, method = method, control = control)
  hksj <- rma(yi, vi, mods = ~ x, method = method, test = "knha", control = control)
  object(list(tau2 = number(wald$tau2), beta = numbers(wald$beta), se = numbers(wald$se),
              se_hksj = numbers(hksj$se), df_hksj = number(hksj$ddf[1]),
              q = number(wald$QE), q_p_value = number(wald$QEp),
              i2 = number(wald$I2), h2 = number(wald$H2),
              loglik_reml = number(as.numeric(logLik(wald, REML = TRUE)))), 3)
}

one_case <- function(yi, vi, x, formula) {
  ok <- is.finite(yi) & is.finite(vi) & is.finite(x)
  yi <- as.numeric(yi)[ok]; vi <- as.numeric(vi)[ok]; x <- as.numeric(x)[ok]
  fits <- sapply(c("DL", "PM", "REML"), function(m) one_fit(yi, vi, x, m), simplify = FALSE)
  object(list(formula = paste0("\"", formula, "\""), yi = numbers(yi), vi = numbers(vi), x = numbers(x),
              random = object(fits, 2)), 1)
}

bcg <- escalc("RR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg)
cases <- list(
  "dat.bcg" = one_case(bcg$yi, bcg$vi, bcg$ablat, "yi ~ ablat"),
  "dat.raudenbush1985" = one_case(dat.raudenbush1985$yi, dat.raudenbush1985$vi, dat.raudenbush1985$weeks, "yi ~ weeks"),
  "dat.bangertdrowns2004" = one_case(dat.bangertdrowns2004$yi, dat.bangertdrowns2004$vi,
                                     dat.bangertdrowns2004$length, "yi ~ length"))

meta <- object(list(generator = "\"generate_meta_regression.R\"",
                    r_version = paste0("\"", R.version.string, "\""),
                    metafor = paste0("\"", packageVersion("metafor"), "\""),
                    metadat = paste0("\"", packageVersion("metadat"), "\"")), 1)
out <- file(file.path(here, "meta_regression.json"), "wb")
writeLines(object(list(meta = meta, cases = object(cases, 1)), 0), out, useBytes = TRUE)
close(out)
