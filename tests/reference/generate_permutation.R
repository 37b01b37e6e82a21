# Pinned exact permutation intervals of metafor, for data sets of six and seven studies.
#
#   Rscript generate_permutation.R          # from any folder, after generate_univariate_tau2.R
#
# reads metafor_univariate_tau2.json and writes metafor_permutation.json next to itself. Needs R with metafor and
# jsonlite. Only calls public functions and records what they answer; takes about a minute for each data set.

suppressPackageStartupMessages({
  library(metafor)
  library(jsonlite)
})

argv <- commandArgs(FALSE)
self <- sub("^--file=", "", argv[grep("^--file=", argv)])
here <- if (length(self)) dirname(normalizePath(self[1])) else getwd()

given <- fromJSON(file.path(here, "metafor_univariate_tau2.json"))$cases
given <- given[vapply(given, function(case) length(case$yi) %in% 6:7, TRUE)]
one <- function(case) {
  fit <- rma(case$yi, case$vi, method = "DL")
  found <- permutest(fit, exact = TRUE, permci = TRUE, progbar = FALSE,
                     control = list(tol = 1e-10, distfac = 2, maxiter = 200))
  list(method = "DL", p = as.numeric(found$pval), ci = as.numeric(c(found$ci.lb, found$ci.ub)))
}
meta <- list(generator = "generate_permutation.R", r_version = R.version.string,
             metafor = as.character(packageVersion("metafor")), level = 0.95)
writeLines(toJSON(list(meta = meta, cases = lapply(given, one)), digits = I(17), auto_unbox = TRUE, null = "null",
                  na = "null", pretty = 1), file.path(here, "metafor_permutation.json"))
