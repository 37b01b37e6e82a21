# Time rma() of metafor: `Rscript fits.R one` (13 studies) or `many` (a loop over sets of 20 studies). Prints JSON.
suppressMessages(library(metafor))
kind <- commandArgs(trailingOnly = TRUE)[1]
set.seed(1)
if (kind == "one") {
  n <- 200
  y <- c(-0.8893, -1.5854, -1.3481, -1.4416, -0.2175, -0.7861, -1.6209, 0.0120, -0.4694, -1.3713, -0.3394, 0.4459, -0.0173)
  v <- c(0.3256, 0.1946, 0.4154, 0.0200, 0.0512, 0.0069, 0.2230, 0.0040, 0.0564, 0.0730, 0.0124, 0.5325, 0.0714)
  fit <- function() rma(y, v, method = "REML")
} else {
  n <- 300
  fit <- function() {
    v <- runif(20, .05, .5)
    rma(rnorm(20, 0, sqrt(v + .1)), v, method = "REML", control = list(stepadj = .5))
  }
}
invisible(fit())
used <- system.time(for (i in seq_len(n)) fit())
cat(sprintf('{"seconds_per_fit": %.9f, "fits": %d, "version": "%s"}\n',
            (used[["user.self"]] + used[["sys.self"]]) / n, n, as.character(packageVersion("metafor"))))
