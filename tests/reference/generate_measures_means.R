# Pinned results of metafor's escalc() for measures from means and SDs, independent and paired.
#
#   Rscript generate_measures_means.R      # from any folder
#
# writes measures_means.json next to itself: for each table of inputs and each code with each of its options what
# escalc() answers, null where it gives NA. A block of results of metafor 5.1-12, which the script cannot make with
# an older version, is one line of the file and is carried over as it stands. No date, path or random number goes
# into the file, so a second run with the same versions gives the same bytes.

options(warn = -1, stringsAsFactors = FALSE)
suppressPackageStartupMessages(library(metafor))

argv <- commandArgs(FALSE)
self <- sub("^--file=", "", argv[grep("^--file=", argv)])
here <- if (length(self)) dirname(normalizePath(self[1])) else getwd()
target <- file.path(here, "measures_means.json")

number <- function(x) ifelse(is.finite(x), sprintf("%.17g", x), "null")
numbers <- function(x) paste0("[", paste(number(x), collapse = ", "), "]")
quoted <- function(x) paste0("\"", x, "\"")
pairs <- function(keys, values) paste0("{", paste(quoted(keys), values, sep = ": ", collapse = ", "), "}")

# ---------------------------------------------------------------- inputs

two <- list(
  ordinary = data.frame(
    m1i = c(10.2, 3, 55, 27, 103, 5.5), sd1i = c(2.1, 0.9, 47, 7, 5.5, 1.2), n1i = c(30, 8, 155, 31, 50, 12),
    m2i = c(8.9, 3.5, 75, 29, 100, 5.5), sd2i = c(2.4, 0.4, 64, 4, 4.5, 3.1), n2i = c(28, 12, 156, 32, 50, 40)),
  tiny = data.frame(
    m1i = c(5, 10, 3.2, 4, 7, 2.5, 6), sd1i = c(1, 2, 0.5, 1.5, 0.1, 2, 3), n1i = c(2, 3, 2, 5, 4, 3, 5),
    m2i = c(4, 7, 3, 2, 1, 2.5, 9), sd2i = c(1.5, 5, 2.5, 1.1, 0.2, 1, 2), n2i = c(2, 2, 5, 3, 4, 4, 2)),
  zero = data.frame(
    m1i = c(5, 10, 3, 0, -4, -4, 5), sd1i = c(0, 0, 2, 1, 1, 1, 1), n1i = c(10, 12, 9, 20, 11, 14, 8),
    m2i = c(4, 7, 3, 2, 2, -6, 0), sd2i = c(0, 3, 0, 1, 1, 2, 1), n2i = c(10, 8, 9, 20, 13, 15, 8)),
  huge = data.frame(
    m1i = c(10, 5, 100), sd1i = c(2, 3, 40), n1i = c(1e5, 1e7, 5000), m2i = c(9.9, 5.001, 99), sd2i = c(2.1, 3, 41),
    n2i = c(2e5, 1e7, 800)))
paired <- list(
  ordinary = data.frame(
    m1i = c(10.2, 3, 55, 38.5, 26.8, 36), sd1i = c(2.1, 0.9, 47, 15, 3.1, 4.7), m2i = c(8.9, 3.5, 75, 30.6, 23.5, 35.6),
    sd2i = c(2.4, 0.4, 64, 11.6, 4.1, 4.6), ni = c(30, 12, 155, 20, 50, 14), ri = c(0.3, 0.6, 0.8, 0.47, 0.64, 0.44)),
  tiny = data.frame(
    m1i = c(5, 3, 10, 2.5, 4), sd1i = c(1, 2, 3, 0.5, 1), m2i = c(4, 3, 6, 2, 5), sd2i = c(2, 2, 1, 0.9, 1),
    ni = c(2, 3, 5, 4, 3), ri = c(0.5, 0, -0.3, 0.95, 0.1)),
  zero = data.frame(
    m1i = c(5, 3, 10, 4, 2, -5), sd1i = c(0, 2, 0, 1, 1, 2), m2i = c(4, 3, 6, 4, -2, -3), sd2i = c(2, 0, 0, 1, 1, 1),
    ni = c(12, 13, 15, 20, 10, 9), ri = c(0.5, 0.2, 0.3, 1, 0.4, 0.6)),
  huge = data.frame(
    m1i = c(10, 5, 100), sd1i = c(2, 3, 40), m2i = c(9.9, 5.001, 99), sd2i = c(2.1, 3, 41), ni = c(1e5, 1e7, 5000),
    ri = c(0.5, 0.9, -0.2)))

# ---------------------------------------------------------------- codes and the options that change their answer

two_codes <- list(
  MD = c("LS", "HO"), SMD = c("LS", "LS2", "UB", "AV"), SMDH = c("LS", "LS2"), SMD1 = c("LS", "LS2", "UB", "AV"),
  SMD1H = "LS", ROM = c("LS", "HO", "AV", "AVHO"), CVR = "LS", VR = "LS", RPB = c("ST", "CS"), RBIS = "LS",
  D2OR = "LS", D2ORN = "LS", D2ORL = "LS")
paired_codes <- list(
  MC = "LS", SMCC = c("LS", "LS2"), SMCR = c("LS", "LS2"), SMCRH = "LS", ROMC = "LS", CVRC = "LS", VRC = "LS")

cases <- function(design, tables, codes, call) {
  lines <- character(0)
  for (table in names(tables)) for (code in names(codes)) for (vtype in codes[[code]]) {
    out <- call(tables[[table]], code, vtype)
    lines <- c(lines, pairs(
      c("design", "table", "measure", "vtype", "yi", "vi"),
      c(quoted(c(design, table, code, vtype)), numbers(as.numeric(out$yi)), numbers(as.numeric(out$vi)))))
  }
  lines
}

inputs <- function(design, tables) {
  paste0("  ", quoted(design), ": {\n", paste(vapply(names(tables), function(table) {
    columns <- tables[[table]]
    paste0("   ", quoted(table), ": ", pairs(names(columns), vapply(columns, numbers, "")))
  }, ""), collapse = ",\n"), "\n  }")
}

lines <- c(
  cases("two", two, two_codes, function(d, code, vtype) escalc(
    code, m1i = m1i, sd1i = sd1i, n1i = n1i, m2i = m2i, sd2i = sd2i, n2i = n2i, data = d, vtype = vtype)),
  cases("paired", paired, paired_codes, function(d, code, vtype) escalc(
    code, m1i = m1i, sd1i = sd1i, m2i = m2i, sd2i = sd2i, ni = ni, ri = ri, data = d, vtype = vtype)))

newer <- if (file.exists(target)) grep("^ \"metafor_5.1-12\":", readLines(target), value = TRUE) else character(0)
if (length(newer) == 0L) newer <- " \"metafor_5.1-12\": {}"

writeLines(c(
  "{",
  paste0(" \"versions\": ", pairs(c("R", "metafor"), quoted(c(
    paste(R.version$major, R.version$minor, sep = "."), as.character(packageVersion("metafor"))))), ","),
  " \"data\": {",
  paste(inputs("two", two), inputs("paired", paired), sep = ",\n"),
  " },",
  " \"cases\": [",
  paste0("  ", lines, collapse = ",\n"),
  " ],",
  newer,
  "}"), target)
