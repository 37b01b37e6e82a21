# Subgroups and predicted effects of pools of dependent rows, by metafor and clubSandwich: writes dependent/questions.json.
# Run in this folder: Rscript generate_dependent_questions.R
suppressMessages({library(metafor); library(metadat); library(clubSandwich); library(jsonlite)})
control <- list(optimizer = "BFGS", reltol = 1e-16, maxit = 5000)

groups <- function(data, V) {
  fit <- rma.mv(yi, V, mods = ~ 0 + group, random = ~ 1 | cluster / row, data = data, control = control)
  robust <- vcovCR(fit, type = "CR2", cluster = data$cluster)
  means <- coef_test(fit, vcov = robust, test = "Satterthwaite")
  limits <- conf_int(fit, vcov = robust, test = "Satterthwaite")
  q <- length(coef(fit))
  joint <- Wald_test(fit, vcov = robust, constraints = constrain_equal(seq_len(q)), test = "HTZ")
  pairs <- linear_contrast(fit, vcov = robust, contrasts = constrain_pairwise(seq_len(q)), test = "Satterthwaite")
  list(
    levels = levels(data$group), tau2 = sum(fit$sigma2), mean = means$beta, se = means$SE, df = means$df_Satt,
    p = means$p_Satt, low = limits$CI_L, high = limits$CI_U,
    F = joint$Fstat, F_df = joint$df_num, F_df2 = joint$df_denom, F_p = joint$p_val,
    pair = pairs$Est, pair_se = pairs$SE, pair_df = pairs$df
  )
}

case <- function(name, data, cluster, group) {
  data <- data.frame(yi = as.numeric(data$yi), vi = as.numeric(data$vi), cluster = data[[cluster]], group = group)
  data$row <- seq_len(nrow(data))
  data$group <- factor(data$group, levels = unique(data$group))
  V <- vcalc(vi, cluster = cluster, obs = row, rho = 0.6, data = data)
  fit <- rma.mv(yi, V, random = ~ 1 | cluster / row, data = data, control = control)
  effects <- ranef(fit)
  place <- match(paste0(data$cluster, "/", data$row), rownames(effects[[2]]))
  list(
    name = name, study = as.character(data$cluster), yi = data$yi, vi = data$vi, group = as.character(data$group),
    mean = fit$b[1], sigma2 = fit$sigma2, groups = groups(data, V),
    study_label = rownames(effects[[1]]), study_effect = effects[[1]]$intrcpt, study_se = effects[[1]]$se,
    row_effect = effects[[2]]$intrcpt[place], row_se = effects[[2]]$se[place]
  )
}

schools <- dat.konstantopoulos2011
assink <- dat.assink2016
cases <- list(
  case("assink2016 deltype", assink, "study", as.character(assink$deltype)),
  case("assink2016 pubstatus", assink, "study", ifelse(assink$pubstatus == 1, "published", "unpublished")),
  case("konstantopoulos2011 years", schools, "district", as.character(cut(schools$year, c(0, 1980, 1996, 2001))))
)
versions <- list(
  R = as.character(getRversion()), metafor = as.character(packageVersion("metafor")),
  clubSandwich = as.character(packageVersion("clubSandwich"))
)
write_json(list(versions = versions, cases = cases), "dependent/questions.json", digits = 11, auto_unbox = TRUE)
