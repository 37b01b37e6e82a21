# Pinned results of metafor's escalc() with other amounts than one half added to zero counts, and with drop00.
#
#   Rscript generate_zero_cells.R               # from any folder
#
# writes zero_cells.json next to itself. Needs R with metafor 3.8-1. Only calls public functions and records what they
# answer. No date or random number goes into the file, so a second run with the same versions gives the same bytes.

options(warn = -1, stringsAsFactors = FALSE)
suppressPackageStartupMessages(library(metafor))

argv <- commandArgs(FALSE)
self <- sub("^--file=", "", argv[grep("^--file=", argv)])
here <- if (length(self)) dirname(normalizePath(self[1])) else getwd()

num <- function(x) ifelse(is.finite(x), sprintf("%.17g", x), "null")
arr <- function(x) paste0("[", paste(num(x), collapse = ", "), "]")

ARMS <- list(ai = c(0, 0, 5, 1, 0, 10, 3, 12, 4, 60), bi = c(5, 9, 0, 7, 1, 0, 4, 30, 119, 40),
             ci = c(0, 3, 5, 0, 1, 3, 5, 9, 11, 0), di = c(5, 8, 0, 12, 0, 7, 2, 28, 128, 25))
RATES <- list(x1i = c(0, 0, 5, 4), t1i = c(120, 40.5, 60, 123), x2i = c(0, 3, 0, 11), t2i = c(118, 39, 71.5, 139))
ONE <- list(xi = c(0, 12, 7, 30), mi = c(8, 0, 13, 170))
TIME <- list(xi = c(0, 12, 7), ti = c(40, 12.5, 300))
CASES <- list(
  list(data = "arms", of = ARMS, measures = c("RR", "OR", "RD", "PETO", "YUQ", "YUY", "PBIT", "OR2D", "OR2DN",
                                              "AS", "PHI")),
  list(data = "rates", of = RATES, measures = c("IRR", "IRD", "IRSD")),
  list(data = "one", of = ONE, measures = c("PR", "PLN", "PLO")),
  list(data = "time", of = TIME, measures = c("IR", "IRLN"))
)
out <- c()
for (case in CASES) for (measure in case$measures) for (to in c("only0", "all", "if0all", "none"))
  for (add in c(0, 0.01, 0.25, 1)) for (drop in c(FALSE, TRUE)) {
    if (drop && !(case$data %in% c("arms", "rates"))) next
    got <- try(do.call(escalc, c(list(measure = measure, add = add, to = to, drop00 = drop), case$of)), silent = TRUE)
    if (inherits(got, "try-error")) stop(measure)
    out <- c(out, sprintf("  {\"data\": \"%s\", \"measure\": \"%s\", \"to\": \"%s\", \"add\": \"%s\", \"drop00\": %s,\n   \"yi\": %s,\n   \"vi\": %s}",
                          case$data, measure, to, format(add), tolower(drop), arr(got$yi), arr(got$vi)))
  }
tables <- sapply(CASES, function(case) sprintf("  \"%s\": {%s}", case$data,
  paste0("\"", names(case$of), "\": ", sapply(case$of, arr), collapse = ", ")))
writeLines(c("{", sprintf("\"meta\": {\"R\": \"%s\", \"metafor\": \"%s\"},", getRversion(), packageDescription("metafor")$Version),
  "\"tables\": {", paste(tables, collapse = ",\n"), "},", "\"cases\": [", paste(out, collapse = ",\n"), "]}"),
  file.path(here, "zero_cells.json"))
