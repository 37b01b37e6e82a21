# Pinned reference results for the conversions of stats/conversions.
#
#   Rscript generate_conversions.R     # from any folder
#
# writes conversions.json next to itself. metafor 3.8-1 has no conv.* functions
# (they came with 4.0), so the facts are: what t.test(), aov(), cor() and
# chisq.test() of R report on data whose means, SDs, correlations and counts are
# known, and escalc() of metafor where one measure is a conversion of another.
# The five-number estimators are the printed equations of the papers in R.
# No date or random number goes into the file: a second run gives the same bytes.

options(warn = 2)
suppressPackageStartupMessages(library(metafor))

argv <- commandArgs(FALSE)
self <- sub("^--file=", "", argv[grep("^--file=", argv)])
here <- if (length(self)) dirname(normalizePath(self[1])) else getwd()

number <- function(x) ifelse(is.finite(x), sprintf("%.17g", x), "null")
row <- function(...) {
  x <- list(...)
  paste0("{", paste0("\"", names(x), "\": ", vapply(x, function(v) if (is.character(v)) paste0("\"", v, "\"") else
    if (length(v) == 1) number(v) else paste0("[", paste(number(v), collapse = ", "), "]"), ""), collapse = ", "), "}")
}
table_of <- function(rows) paste0("[\n  ", paste(unlist(rows), collapse = ",\n  "), "\n ]")

# --- two independent groups: every statistic of t.test and aov
two_groups <- function(name, x, g, level) {
  x <- split(x, droplevels(factor(g)))
  a <- x[[1]]; b <- x[[2]]
  t <- t.test(a, b, var.equal = TRUE, conf.level = level)
  f <- summary(aov(c(a, b) ~ rep(1:2, c(length(a), length(b)))))[[1]][["F value"]][1]
  df <- length(a) + length(b) - 2
  row(name = name, level = level, n_1 = length(a), mean_1 = mean(a), sd_1 = sd(a), n_2 = length(b), mean_2 = mean(b),
      sd_2 = sd(b), effect = mean(a) - mean(b), t = unname(t$statistic), f = f, p = t$p.value, ci_low = t$conf.int[1],
      ci_high = t$conf.int[2], se = unname(t$stderr), df = df,
      sd = sqrt(((length(a) - 1) * var(a) + (length(b) - 1) * var(b)) / df))
}
tooth <- ToothGrowth
groups <- c(
  two_groups("sleep", sleep$extra, sleep$group, 0.95),
  two_groups("tooth", tooth$len[tooth$dose == 1], tooth$supp[tooth$dose == 1], 0.9),
  two_groups("tooth all", tooth$len, tooth$supp, 0.99),
  two_groups("cars", mtcars$mpg, mtcars$am, 0.8),
  two_groups("iris", iris$Petal.Length[1:100], iris$Species[1:100], 0.95),
  two_groups("weights", chickwts$weight[chickwts$feed %in% c("casein", "linseed")],
             chickwts$feed[chickwts$feed %in% c("casein", "linseed")], 0.5))

# --- one group before and after
paired <- function(name, pre, post, level) {
  t <- t.test(post, pre, paired = TRUE, conf.level = level)
  m <- t.test(post, conf.level = level)
  row(name = name, level = level, n = length(pre), mean_pre = mean(pre), sd_pre = sd(pre), mean_post = mean(post),
      sd_post = sd(post), sd_change = sd(post - pre), t = unname(t$statistic), p = t$p.value, ci_low = t$conf.int[1],
      ci_high = t$conf.int[2], se_change = unname(t$stderr), r = cor(pre, post), post_low = m$conf.int[1],
      post_high = m$conf.int[2])
}
an <- MASS::anorexia
pairs <- c(
  paired("sleep", sleep$extra[1:10], sleep$extra[11:20], 0.95),
  paired("CBT", an$Prewt[an$Treat == "CBT"], an$Postwt[an$Treat == "CBT"], 0.9),
  paired("FT", an$Prewt[an$Treat == "FT"], an$Postwt[an$Treat == "FT"], 0.95),
  paired("Cont", an$Prewt[an$Treat == "Cont"], an$Postwt[an$Treat == "Cont"], 0.99),
  paired("trees", trees$Girth, trees$Height, 0.95))

# --- several groups as one
combined <- function(name, x, g) {
  row(name = name, n = as.numeric(tapply(x, g, length)), mean = as.numeric(tapply(x, g, mean)),
      sd = as.numeric(tapply(x, g, sd)), all_n = length(x), all_mean = mean(x), all_sd = sd(x))
}
arms <- c(combined("chickwts", chickwts$weight, chickwts$feed), combined("insects", InsectSprays$count, InsectSprays$spray),
          combined("iris", iris$Sepal.Length, iris$Species), combined("shifted", 1e6 + iris$Sepal.Length, iris$Species))

# --- 2 x 2 tables: the statistics that they are found again from
cells <- rbind(c(36, 86, 20, 98), c(360, 860, 200, 980), c(176, 24, 72, 128), c(40, 60, 60, 40), c(28, 14, 12, 18),
               c(1, 99, 7, 93), c(5, 5, 5, 6), c(995, 5, 2, 998), c(3, 100000, 12, 99991), c(2, 48, 49, 1))
counts <- apply(cells, 1, function(x) {
  m <- matrix(x, 2, byrow = TRUE)
  one <- function(measure) as.numeric(escalc(measure, ai = x[1], bi = x[2], ci = x[3], di = x[4])$yi)
  sign <- sign(x[1] * x[4] - x[2] * x[3])
  chi <- function(correct) unname(suppressWarnings(chisq.test(m, correct = correct))$statistic) * sign
  row(events_1 = x[1], n_1 = x[1] + x[2], events_2 = x[3], n_2 = x[3] + x[4], or = exp(one("OR")), rr = exp(one("RR")),
      phi = one("PHI"), chi2 = chi(FALSE), chi2_yates = chi(TRUE))
})

# --- escalc: one measure as the conversion of another
d_or <- apply(cells, 1, function(x) {
  one <- function(measure) escalc(measure, ai = x[1], bi = x[2], ci = x[3], di = x[4])
  o <- one("OR"); l <- one("OR2DL"); n <- one("OR2DN")
  row(yi = as.numeric(o$yi), vi = o$vi, hasselblad_yi = as.numeric(l$yi), hasselblad_vi = l$vi,
      cox_yi = as.numeric(n$yi), cox_vi = n$vi)
})
single <- Map(function(xi, ni) {
  one <- function(measure) escalc(measure, xi = xi, ni = ni)
  p <- one("PR")
  row(yi = as.numeric(p$yi), vi = p$vi, logit_yi = as.numeric(one("PLO")$yi), logit_vi = one("PLO")$vi,
      log_yi = as.numeric(one("PLN")$yi), log_vi = one("PLN")$vi, arcsine_yi = as.numeric(one("PAS")$yi),
      arcsine_vi = one("PAS")$vi)
}, c(5, 12, 1, 999), c(40, 80, 100, 1000))

# --- quantiles behind P values
quantiles <- unlist(lapply(c(1, 2, 3.5, 10, 45, 1000, 1e6), function(df)
  lapply(c(1e-300, 1e-100, 1e-20, 1e-5, 0.008, 0.05, 0.49, 0.5, 0.9, 0.999), function(p)
    row(df = df, p = p, t = qt(p / 2, df, lower.tail = FALSE), z = qnorm(p / 2, lower.tail = FALSE)))))

# --- five numbers: the printed equations
five <- function(a, q1, m, q3, b, n) {
  xi <- 2 * qnorm((n - 0.375) / (n + 0.25)); eta <- 2 * qnorm((0.75 * n - 0.125) / (n + 0.25))
  w1 <- 4 / (4 + n^0.75); w2 <- 0.7 + 0.39 / n; w31 <- 2.2 / (2.2 + n^0.75); w32 <- 0.7 - 0.72 / n^0.55
  t1 <- (2 + 0.14 * n^0.6) * qnorm((n - 0.375) / (n + 0.25))
  t2 <- (2 + 2 / (0.07 * n^0.6)) * qnorm((0.75 * n - 0.125) / (n + 0.25))
  sa <- (a + b - 2 * m) / (b - a); sb <- (q1 + q3 - 2 * m) / (q3 - q1)
  row(min = a, q1 = q1, median = m, q3 = q3, max = b, n = n,
      mean_1 = w1 * (a + b) / 2 + (1 - w1) * m, mean_2 = w2 * (q1 + q3) / 2 + (1 - w2) * m,
      mean_3 = w31 * (a + b) / 2 + w32 * (q1 + q3) / 2 + (1 - w31 - w32) * m,
      sd_1 = (b - a) / xi, sd_2 = (q3 - q1) / eta, sd_3 = (b - a) / t1 + (q3 - q1) / t2,
      test_1 = abs(sa), test_2 = abs(sb), test_3 = max(2.65 * log(0.6 * n) / sqrt(n) * abs(sa), abs(sb)),
      critical_1 = 1 / log(n + 9) + 2.5 / (n + 1), critical_2 = 2.65 / sqrt(n) - 6 / n^2,
      critical_3 = 3 / sqrt(n) - 40 / n^3)
}
fives <- c(five(2, 4, 6, 10, 14, 20), five(2, 4, 6, 14, 20, 20), five(-3, -1, 0.5, 1, 4, 5), five(0, 1, 2, 3, 4, 101),
           five(10.5, 20, 22, 31, 90, 1000), five(0.1, 0.2, 0.3, 0.45, 0.8, 57), five(1e4, 2e4, 2.1e4, 3e4, 9e4, 12))

parts <- c(meta = row(generator = "generate_conversions.R", r_version = R.version.string,
                      metafor = as.character(packageVersion("metafor"))),
           groups = table_of(groups), pairs = table_of(pairs), arms = table_of(arms), counts = table_of(counts),
           d_or = table_of(d_or), single = table_of(single), quantiles = table_of(quantiles), fives = table_of(fives))
out <- file(file.path(here, "conversions.json"), "wb")
writeLines(paste0("{\n ", paste0("\"", names(parts), "\": ", parts, collapse = ",\n "), "\n}"), out, useBytes = TRUE)
close(out)
