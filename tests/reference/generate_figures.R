# Points and lines of figures for tests/plots/test_charts.py; see README.md for versions of R, metafor and metadat.
suppressMessages({library(metafor); library(metadat); library(jsonlite)})
pdf(NULL)
tight <- list(threshold = 1e-14, tol = 1e-14, stepadj = 0.5)
bcg <- escalc(measure = "RR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg)
bcg$since <- bcg$year - 1966
fit <- rma(yi, vi, data = bcg, control = tight)
line <- function(model, at) {
  p <- predict(model, newmods = at, pi.type = "default")
  list(mean = p$pred, low = p$ci.lb, high = p$ci.ub, far_low = p$pi.lb, far_high = p$pi.ub)
}
one <- rma(yi, vi, mods = ~ ablat, data = bcg, control = tight)
two <- rma(yi, vi, mods = ~ ablat + since, data = bcg, control = tight)
out <- list(
  funnel = as.list(funnel(fit)[, c("x", "y")]),
  baujat = as.list(baujat(fit)[, c("x", "y")]),
  radial = as.list(radial(fit)[, c("x", "y")]),
  ablat = line(one, c(13, 55)),
  ablat_at_mean_year = line(two, cbind(c(13, 55), mean(bcg$since)))
)
writeLines(toJSON(out, digits = NA, pretty = TRUE, auto_unbox = TRUE), "figures.json")
