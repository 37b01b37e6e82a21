# Time metafor and clubSandwich on a table of dependent effects: `Rscript dependent.R KIND TABLE.csv TIMES`, KIND one of
# dense, sparse (three levels), un-dense, un-sparse (four outcomes), crossed-sparse (studies and labs), robust (CR2 of a
# sparse fit), lm (CR2 of weighted least squares). Reading the table is not counted. Prints JSON: median processor
# seconds of one call, and a number to compare.
suppressMessages({
  library(metafor)
  library(clubSandwich)
})
words <- commandArgs(trailingOnly = TRUE)
kind <- words[1]
d <- read.csv(words[2])
d$study <- factor(d$study, levels = unique(d$study))
d$id <- seq_len(nrow(d))
sparse <- grepl("sparse|robust", kind)
three <- function(mods) rma.mv(y, se^2, mods = mods, random = ~ 1 | study/id, data = d, sparse = sparse)
if (startsWith(kind, "un-")) {
  V <- vcalc(se^2, cluster = study, obs = id, data = d, rho = 0.4)
  call <- function() rma.mv(y, V, mods = ~ 0 + outcome, random = ~ outcome | study, struct = "UN", data = d, sparse = sparse)
} else if (startsWith(kind, "crossed-")) {
  call <- function() rma.mv(y, se^2, random = list(~ 1 | study, ~ 1 | lab), data = d, sparse = sparse)
} else if (kind == "robust") {
  fit <- three(~ x1 + x2 + x3)
  call <- function() coef_test(fit, vcov = "CR2", cluster = d$study)
} else if (kind == "lm") {
  fit <- lm(y ~ x1 + x2 + x3, data = d, weights = 1 / (se^2 + 0.1))
  call <- function() coef_test(fit, vcov = "CR2", cluster = d$study)
} else {
  call <- function() three(~ 1)
}
seconds <- sapply(seq_len(as.integer(words[3])), function(i) {
  used <- system.time(found <<- call())
  used[["user.self"]] + used[["sys.self"]]
})
number <- if (kind %in% c("robust", "lm")) found$SE[2] else as.numeric(logLik(found))
cat(sprintf('{"seconds": %.6f, "number": %.12g, "metafor": "%s", "clubSandwich": "%s"}\n', median(seconds), number,
            as.character(packageVersion("metafor")), as.character(packageVersion("clubSandwich"))))
