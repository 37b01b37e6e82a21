# What models of dependent effects become without each study, by metafor: writes dependent/influence.json.
# Run in this folder: Rscript generate_dependent_influence.R
suppressMessages({library(metafor); library(metadat); library(jsonlite)})
control <- list(optimizer = "BFGS", reltol = 1e-16, maxit = 5000)

case <- function(name, data, cluster, V, method) {
  data$cluster <- data[[cluster]]
  data$row <- seq_len(nrow(data))
  fit <- rma.mv(yi, V, random = ~ 1 | cluster / row, data = data, method = method, control = control)
  student <- rstudent(fit, cluster = cluster)$cluster
  order <- match(unique(data$cluster), sort(unique(data$cluster)))
  without <- lapply(unique(data$cluster), function(out) {
    rest <- data$cluster != out
    part <- data[rest, ]
    rma.mv(yi, V[rest, rest], random = ~ 1 | cluster / row, data = part, method = method, control = control)
  })
  list(
    name = name, method = method, study = as.character(data$cluster), yi = as.numeric(data$yi), V = V,
    mean = fit$b[1], variance = fit$vb[1, 1], sigma2 = fit$sigma2,
    labels = as.character(unique(data$cluster)),
    rows = as.integer(student$k[order]),
    chi2 = as.numeric(student$X2[order]),
    cook = as.numeric(cooks.distance(fit, cluster = cluster)[order]),
    dfbetas = as.numeric(dfbetas(fit, cluster = cluster)[[1]][order]),
    hat = as.numeric(tapply(hatvalues(fit), data$cluster, sum)[order]),
    mean_without = sapply(without, function(part) part$b[1]),
    variance_without = sapply(without, function(part) part$vb[1, 1]),
    sigma2_without = t(sapply(without, function(part) part$sigma2)),
    q_without = sapply(without, function(part) part$QE)
  )
}

schools <- dat.konstantopoulos2011
assink <- dat.assink2016
cases <- list(
  case("konstantopoulos2011", schools, "district", diag(as.numeric(schools$vi)), "REML"),
  case("konstantopoulos2011 ML", schools, "district", diag(as.numeric(schools$vi)), "ML"),
  case("assink2016", assink, "study", vcalc(vi, cluster = study, obs = esid, rho = 0.6, data = assink), "REML")
)
versions <- list(R = as.character(getRversion()), metafor = as.character(packageVersion("metafor")))
write_json(list(versions = versions, cases = cases), "dependent/influence.json", digits = 15, auto_unbox = TRUE)
