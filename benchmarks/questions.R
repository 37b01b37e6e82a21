# Time questions to a fit of metafor: `Rscript questions.R leave1out` (k = 100), `gosh`, `permutation` or `bootstrap`
# (k = 20). Long ones are timed on a part, in seconds for each unit. Prints JSON.
suppressMessages(library(metafor))
kind <- commandArgs(trailingOnly = TRUE)[1]
set.seed(1)
k <- if (kind == "leave1out") 100 else if (kind == "gosh") 15 else 20
v <- runif(k, .05, .5)
y <- rnorm(k, .2, sqrt(v + .1))
x <- rnorm(k)
steps <- list(stepadj = .5)
part <- switch(kind, leave1out = 1, gosh = 1000, permutation = 200, bootstrap = 300)
fit <- if (kind == "permutation") rma(y, v, mods = x, control = steps) else rma(y, v, control = steps)
ask <- function() {
  switch(kind,
    leave1out = leave1out(fit),
    gosh = gosh(fit, subsets = part, progbar = FALSE),
    permutation = permutest(fit, iter = part, progbar = FALSE),
    bootstrap = for (i in seq_len(part)) {
      try(rma(rnorm(k, .2, sqrt(v + .1)), v, control = steps), silent = TRUE)
    })
}
invisible(ask())
seconds <- sapply(1:3, function(i) {
  used <- system.time(invisible(ask()))
  used[["user.self"]] + used[["sys.self"]]
})
cat(sprintf('{"seconds": %.9f, "part": %d, "version": "%s"}\n', median(seconds) / part, part,
            as.character(packageVersion("metafor"))))
