# Time rma() of metafor: `Rscript large.R full` (13 studies: fit, confint and predict) or `Rscript large.R moderators 500
# 1000` (REML with ten moderators at these numbers of studies). Prints JSON.
suppressMessages(library(metafor))
words <- commandArgs(trailingOnly = TRUE)
used <- function(call) { t <- system.time(call()); t[["user.self"]] + t[["sys.self"]] }
set.seed(1)
if (words[1] == "full") {
  y <- c(-0.8893, -1.5854, -1.3481, -1.4416, -0.2175, -0.7861, -1.6209, 0.0120, -0.4694, -1.3713, -0.3394, 0.4459, -0.0173)
  v <- c(0.3256, 0.1946, 0.4154, 0.0200, 0.0512, 0.0069, 0.2230, 0.0040, 0.0564, 0.0730, 0.0124, 0.5325, 0.0714)
  call <- function() for (i in 1:20) { fit <- rma(y, v, test = "knha"); confint(fit); predict(fit) }
  invisible(call())
  seconds <- median(sapply(1:5, function(i) used(call))) / 20
} else {
  seconds <- sapply(as.integer(words[-1]), function(k) {
    v <- runif(k, .05, .5)
    X <- matrix(rnorm(10 * k), k)
    y <- rnorm(k, .2, sqrt(v + .1))
    used(function() rma(y, v, mods = X, method = "REML"))
  })
}
cat(sprintf('{"seconds": [%s], "version": "%s"}\n', paste(sprintf("%.9f", seconds), collapse = ", "),
            as.character(packageVersion("metafor"))))
