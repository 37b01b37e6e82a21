# Time escalc() of metafor on a million rows: `Rscript measures.R SMD|ROM|OR [rows]`. Prints JSON.
suppressMessages(library(metafor))
words <- commandArgs(trailingOnly = TRUE)
measure <- words[1]
k <- if (length(words) > 1) as.integer(words[2]) else 1000000L
set.seed(1)
n1 <- sample(8:60, k, TRUE)
n2 <- sample(8:60, k, TRUE)
if (measure == "OR") {
  a <- rbinom(k, n1, .3)
  c <- rbinom(k, n2, .4)
  call <- function() escalc(measure = "OR", ai = a, n1i = n1, ci = c, n2i = n2)
} else {
  m1 <- runif(k, 10, 60); m2 <- runif(k, 10, 60); s1 <- runif(k, 4, 20); s2 <- runif(k, 4, 20)
  call <- function() escalc(measure = measure, m1i = m1, sd1i = s1, n1i = n1, m2i = m2, sd2i = s2, n2i = n2)
}
invisible(call())
used <- median(sapply(1:3, function(i) { t <- system.time(call()); t[["user.self"]] + t[["sys.self"]] }))
cat(sprintf('{"seconds": %.6f, "rows": %d, "version": "%s"}\n', used, k, as.character(packageVersion("metafor"))))
