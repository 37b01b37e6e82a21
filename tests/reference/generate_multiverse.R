# Pools of the BCG trials under many choices, each without every trial in turn: measure x estimator x test.
# R 4.x with metafor 3.8-1, metadat and jsonlite; writes multiverse.json beside this file.
suppressMessages({library(metafor); library(metadat); library(jsonlite)})
tight <- list(threshold = 1e-14, tol = 1e-14, stepadj = 0.5, maxiter = 10000)
bcg <- dat.bcg
counts <- bcg[, c("tpos", "tneg", "cpos", "cneg")]
rows <- list()
for (measure in c("RR", "OR")) {
  es <- escalc(measure = measure, ai = tpos, bi = tneg, ci = cpos, di = cneg, data = bcg)
  for (method in c("REML", "DL", "PM", "SJ")) for (test in c("z", "knha", "adhoc")) for (left in 0:13) {
    keep <- setdiff(1:13, left)
    control <- if (method %in% c("DL", "SJ")) list() else tight
    fit <- suppressWarnings(rma(yi, vi, data = es[keep, ], method = method, test = test, control = control))
    rows[[length(rows) + 1]] <- list(
      measure = measure, method = method, test = test, left_out = left, k = fit$k, estimate = as.numeric(fit$beta),
      se = fit$se, ci_low = fit$ci.lb, ci_high = fit$ci.ub, p_value = fit$pval, tau2 = fit$tau2
    )
  }
}
out <- list(
  metafor = as.character(packageVersion("metafor")), counts = lapply(seq_len(13), function(i) as.numeric(counts[i, ])),
  rows = rows
)
here <- sub("--file=", "", grep("--file=", commandArgs(FALSE), value = TRUE))
writeLines(toJSON(out, digits = NA, auto_unbox = TRUE), file.path(dirname(here), "multiverse.json"))
