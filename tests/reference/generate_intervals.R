# Pinned reference results of metafor for intervals of tau2, of the mean and of prediction.
#
#   Rscript generate_intervals.R          # in this folder; reads metafor_univariate.json, writes metafor_intervals.json
#
# Needs R with metafor and jsonlite. Only calls their public functions and records what they answer.

suppressPackageStartupMessages({
  library(metafor)
  library(jsonlite)
})

given <- fromJSON("metafor_univariate.json")$cases
tight <- list(tol = 1e-14, stepadj = 0.5, maxiter = 10000, tau2.max = 1e4)

fit <- function(yi, vi, method, test = "z") {
  for (th in 10^-(14:9)) {
    found <- tryCatch(suppressWarnings(rma(yi, vi, method = method, test = test, control = c(tight, threshold = th))),
                      error = function(e) NULL)
    if (!is.null(found)) return(found)
  }
  NULL
}

profile <- function(found) {
  got <- tryCatch(suppressWarnings(confint(found, type = "PL", control = list(tol = 1e-14, tau2.max = 1e4))$random[1, 2:3]),
                  error = function(e) c(NA, NA))
  unname(got)
}

one <- function(case) {
  yi <- case$yi
  vi <- case$vi
  reml <- fit(yi, vi, "REML")
  ml <- fit(yi, vi, "ML")
  if (is.null(reml) || is.null(ml)) return(NULL)
  henmi <- hc(rma(yi, vi, method = "DL"), control = list(tol = 1e-14))
  adhoc <- fit(yi, vi, "REML", "adhoc")
  knha <- fit(yi, vi, "REML", "knha")
  hk <- predict(knha)
  out <- list(
    yi = yi, vi = vi,
    tau2_reml = reml$tau2, se_tau2_reml = reml$se.tau2, tau2_ml = ml$tau2, se_tau2_ml = ml$se.tau2,
    pl_reml = profile(reml), pl_ml = profile(ml),
    hc = c(henmi$beta, henmi$se, henmi$ci.lb, henmi$ci.ub),
    adhoc = c(adhoc$se, adhoc$ci.lb, adhoc$ci.ub, adhoc$pval),
    hk_pi = c(hk$pi.lb, hk$pi.ub))
  if (length(yi) <= 9) {
    flips <- permutest(reml, exact = TRUE, progbar = FALSE)
    out$perm_p <- as.numeric(flips$pval)
  }
  out
}

cases <- given[vapply(given, function(case) length(case$yi) >= 3 && length(case$yi) <= 60, TRUE)]
results <- lapply(cases, one)
results <- results[!vapply(results, is.null, TRUE)]
meta <- list(generator = "generate_intervals.R", r_version = R.version.string,
             metafor = as.character(packageVersion("metafor")), level = 0.95)
writeLines(toJSON(list(meta = meta, cases = results), digits = I(17), auto_unbox = TRUE, null = "null", na = "null",
                  pretty = 1), "metafor_intervals.json")
