# What metaback's report is compared with: metafor on the same comparisons, a fit with intervals and a forest plot each.
suppressMessages(library(metafor))
words <- commandArgs(trailingOnly = TRUE)
dir.create(words[2])
dat <- read.csv(words[1])
dat$yi <- dat$effect
dat$vi <- ((dat$ci_high - dat$ci_low) / (2 * qnorm(.975)))^2
raw <- escalc("SMD", m1i = mean_1, sd1i = sd_1, n1i = n_1, m2i = mean_2, sd2i = sd_2, n2i = n_2, data = dat)
has <- !is.na(dat$mean_1)
dat$yi[has] <- raw$yi[has]
dat$vi[has] <- raw$vi[has]
parts <- split(dat, paste(dat$outcome, dat$treatment_1, dat$treatment_2))
for (i in seq_along(parts)) {
  part <- parts[[i]]
  if (nrow(part) < 2) next
  res <- rma(yi, vi, data = part, slab = study, test = "knha")
  invisible(confint(res))
  invisible(predict(res))
  svg(file.path(words[2], paste0(i, ".svg")), width = 9, height = 6)
  forest(res, addpred = TRUE)
  invisible(dev.off())
  png(file.path(words[2], paste0(i, ".png")), width = 2700, height = 1800, res = 300)
  forest(res, addpred = TRUE)
  invisible(dev.off())
}
