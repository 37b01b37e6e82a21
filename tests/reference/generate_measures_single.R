# Answers of metafor's escalc() for correlations, proportions, single rates, single means and Cronbach's alpha, and of
# its transf functions, written to measures_single.json. UCOR needs the package gsl. Run in this folder:
#   Rscript generate_measures_single.R [path of effect_sizes_metafor51.json]
# With the path, the cases of metafor 5.1 that 3.8-1 does not have are copied from it; without it they are kept from the
# file as it is. Deterministic: a second run gives the same bytes.

suppressMessages(library(metafor))
stopifnot(requireNamespace("gsl", quietly = TRUE))
OUT <- "measures_single.json"

number <- function(x) ifelse(is.finite(x), sprintf("%.17g", x), "null")
text <- function(x) sprintf("\"%s\"", x)
list_of <- function(x) paste0("[", paste(number(as.numeric(x)), collapse = ", "), "]")
record <- function(...) {
  parts <- list(...)
  paste0("{", paste(sprintf("\"%s\": %s", names(parts), unlist(parts)), collapse = ", "), "}")
}

correlations <- list(
  ri = c(0, .5, -.95, .999, 1, -1, .2, .3, .7, .1, -.42, .04, .985, -.001),
  ni = c(5, 6, 7, 50, 20, 9, 3, 4, 10, 1e6, 142, 2200, 25, 1e4)
)
partial <- list(
  ti = c(4.61, 6.19, 4.07, -.77, 1.16, 1, 1, -1, 3, -2.5),
  ni = c(218, 232, 156, 382, 259, 6, 7, 5, 1e6, 40),
  mi = c(4, 7, 6, 19, 15, 3, 3, 2, 5, 1),
  r2i = c(.24, .455, .5, .327, .117, .4, .9, .5, .2, .3)
)
proportions <- list(
  xi = c(0, 1, 5, 10, 0, 1, 50, 4668, 3, 999999, 17, 5e5 + 1),
  ni = c(10, 10, 10, 10, 1, 1, 1000, 7178, 2e6, 1e6, 23, 1e6)
)
rates <- list(xi = c(0, 1, 5, 100, 0, 12345678, 7), ti = c(10, 20, 3.5, 1e6, 1e-3, 2e9, 1.25))
means <- list(
  mi = c(10, 5, 5, 7, 120.5, .003, 1e6, 3), sdi = c(2, 0, 1.5, 3, 14.2, .001, 2e5, 1),
  ni = c(20, 4, 1, 2, 3, 55, 1e7, 700)
)
any_means <- list(mi = c(means$mi, -2, 0), sdi = c(means$sdi, 1, 1), ni = c(means$ni, 5, 10))
alphas <- list(
  ai = c(.8, .9, 0, -.5, .7, .999, .62, .95), mi = c(10, 2, 5, 6, 3, 40, 7, 20),
  ni = c(50, 100, 20, 30, 3, 1e6, 12, 400)
)

plan <- list()
add <- function(measures, inputs, options = list(list())) {
  for (measure in measures) for (option in options) {
    plan[[length(plan) + 1]] <<- list(measure = measure, inputs = inputs, options = option)
  }
}
vtypes <- function(...) lapply(c(...), function(v) list(vtype = v))
zeros <- lapply(c("only0", "all", "none"), function(to) list(to = to))
crossed <- function(types) do.call(c, lapply(types, function(v) lapply(zeros, function(z) c(list(vtype = v), z))))

add("COR", correlations, vtypes("LS", "AV"))
add("UCOR", correlations, vtypes("LS", "UB", "AV"))
add("ZCOR", correlations)
add(c("PCOR", "SPCOR"), partial, vtypes("LS", "AV"))
add("ZPCOR", partial)
add("PR", proportions, crossed(c("LS", "UB", "AV")))
add(c("PLN", "PLO"), proportions, crossed(c("LS", "AV")))
add(c("PAS", "PFT"), proportions)
add(c("IR", "IRLN"), rates, zeros)
add(c("IRS", "IRFT"), rates)
add(c("MN", "SMN"), any_means)
add(c("MNLN", "CVLN"), means)
add("SDLN", means)
add(c("ARAW", "AHW", "ABT"), alphas)

one <- function(case) {
  done <- suppressWarnings(do.call(escalc, c(list(measure = case$measure), case$inputs, case$options)))
  inputs <- do.call(record, lapply(case$inputs, list_of))
  options <- if (length(case$options)) do.call(record, lapply(case$options, text)) else "{}"
  name <- paste(c(case$measure, unlist(case$options)), collapse = "/")
  record(
    id = text(name), version = text("3.8-1"), measure = text(case$measure), options = options, inputs = inputs,
    yi = list_of(done$yi), vi = list_of(done$vi)
  )
}

points <- c(-.2, 0, .05, .2, .5, .785, 1, 1.3, 1.5)
sizes <- c(1, 5, 20, 100, 1000, 37, 10, 4, 250)
back <- function(key, values, with = NULL, at = points) {
  record(
    key = text(key), version = text("3.8-1"), x = list_of(at), size = if (is.null(with)) "null" else list_of(with),
    value = list_of(values)
  )
}
inner <- points[points >= 0 & points <= 1]
ways <- c(
  back("tanh", transf.ztor(points)), back("expit", transf.ilogit(points)), back("sin2", transf.iarcsin(points)),
  back("freeman_tukey_proportion", mapply(transf.ipft, points, sizes), sizes),
  back("freeman_tukey_rate", mapply(transf.iirft, points, sizes), sizes),
  back("hakstian_whalen", transf.iahw(inner), at = inner), back("bonett", transf.iabt(inner), at = inner),
  back("exp", exp(points)), back("ndtr", pnorm(points))
)

# ---------------------------------------------------------------- metafor 5.1, as it was recorded elsewhere

newer <- c(
  "es/COR/molloy2014/vtype=H0", "es/COR/edgeCor/vtype=H0", "es/COR/craft2003/vtype=H0a", "es/COR/molloy2014/vtype=H0b",
  "es/COR/edgeCor/vtype=H0b", "es/UCOR/corTP", "es/ZCOR/corTP", "es/PCOR/partR", "es/ZPCOR/partR", "es/SPCOR/partR",
  "es/ZSPCOR/aloe2013", "es/R2/aloe2013", "es/R2/aloe2013/vtype=AV", "es/R2/aloe2013/vtype=AV2", "es/ZR2/aloe2013",
  "es/R2F/aloe2013", "es/ZR2F/aloe2013", "es/PRZ/pritz1997", "es/PRZ/hannum2020", "es/PRZ/edgeProp/to=all",
  "es/PRZ/edgeProp/to=none", "es/PRZ/edgeProp/add=0.5", "es/PRZ/pritz1997/to=all", "es/PRZ/pritz1997/to=none"
)

copied <- function(path) {
  source <- jsonlite::fromJSON(path, simplifyVector = TRUE, simplifyDataFrame = FALSE)
  cases <- setNames(source$cases, vapply(source$cases, function(case) case$id, ""))
  stopifnot(all(newer %in% names(cases)))
  vapply(newer, function(id) {
    case <- cases[[id]]
    args <- case$inputs$args
    columns <- source$data[[case$inputs$data]]$columns[unlist(args$columns)]
    names(columns) <- names(args$columns)
    options <- if (length(args$options)) do.call(record, lapply(args$options, function(o) {
      if (is.character(o)) text(o) else number(o)
    })) else "{}"
    record(
      id = text(id), version = text(source$generated_with$metafor), measure = text(args$measure), options = options,
      inputs = do.call(record, lapply(columns, function(x) list_of(unlist(lapply(x, function(v) if (is.null(v)) NA else v))))),
      yi = list_of(case$results$yi), vi = list_of(case$results$vi)
    )
  }, "")
}

kept <- function() {
  lines <- readLines(OUT)
  lines <- lines[grepl("\"version\": \"5.1", lines, fixed = TRUE)]
  sub(",$", "", sub("^    ", "", lines))
}

path <- commandArgs(trailingOnly = TRUE)
cases <- c(vapply(plan, one, ""), if (length(path)) copied(path[1]) else kept())
stopifnot(packageVersion("metafor") == "3.8.1")
meta <- record(
  R = text(paste(R.version$major, R.version$minor, sep = ".")), metafor = text("3.8-1"),
  gsl = text(as.character(packageVersion("gsl"))), newer = text("metafor 5.1-12, recorded results")
)
body <- function(rows) paste0("    ", rows, collapse = ",\n")
writeLines(paste0(
  "{\n  \"meta\": ", meta, ",\n  \"cases\": [\n", body(cases), "\n  ],\n  \"ways_back\": [\n", body(ways), "\n  ]\n}"
), OUT)
