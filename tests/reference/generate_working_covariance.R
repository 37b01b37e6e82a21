# Working covariances and aggregated effects: writes working_covariance.json.
# R 4.x with metafor 3.8-1, metadat, clubSandwich, jsonlite; see README.md for the versions.
suppressMessages({library(metafor); library(metadat); library(clubSandwich); library(jsonlite)})

lower <- function(V) {
  at <- which(lower.tri(V) & V != 0, arr.ind = TRUE)
  at <- at[order(at[, 2], at[, 1]), , drop = FALSE]
  list(i = at[, 2] - 1, j = at[, 1] - 1, cov = V[at])
}
out <- list()

d <- dat.assink2016
e <- escalc(measure = "GEN", yi = yi, vi = vi, data = d)
types <- vcalc(vi, cluster = study, type = deltype, obs = esid, data = d, rho = c(0.7, 0.5))
agg <- function(...) { a <- aggregate(e, cluster = study, ...); list(yi = as.numeric(a$yi), vi = a$vi) }
out$assink <- list(
  study = d$study, yi = d$yi, vi = d$vi, deltype = d$deltype,
  rho = lower(vcalc(vi, cluster = study, obs = esid, data = d, rho = 0.6)),
  clubsandwich = lower(as.matrix(Matrix::bdiag(impute_covariance_matrix(d$vi, d$study, 0.6)))),
  types = lower(types),
  aggregated = agg(rho = 0.6), equal = agg(struct = "CS", rho = 0.6, weighted = FALSE), by_types = agg(V = types)
)

d <- dat.ishak2007
l <- reshape(d, direction = "long", idvar = "study", v.names = c("yi", "vi"),
             varying = list(c(2, 4, 6, 8), c(3, 5, 7, 9)))
l <- l[order(l$study, l$time), ]
l <- l[!is.na(l$yi), ]
out$ishak <- list(study = l$study, time = l$time, yi = l$yi, vi = l$vi,
                  V = lower(vcalc(vi, cluster = study, time1 = time, phi = 0.97, data = l)))

d <- dat.berkey1998
out$berkey <- list(author = d$author, outcome = d$outcome, yi = d$yi, vi = d$vi, v1i = d$v1i, v2i = d$v2i,
                   V = lower(vcalc(vi = 1, cluster = author, rvars = c(v1i, v2i), data = d)))

d <- dat.knapp2017
d <- d[!is.na(d$yi), ]
out$knapp <- list(study = d$study, group1 = d$group1, group2 = d$group2, n1 = d$n_sz, n2 = d$n_hc, comp = d$comp,
                  yi = d$yi, vi = d$vi, difficulty = d$difficulty, task = d$task,
                  V = lower(vcalc(vi, cluster = study, grp1 = group1, grp2 = group2, w1 = n_sz, w2 = n_hc,
                                  obs = ave(seq_along(yi), study, group1, group2, FUN = seq_along), rho = 0.4, data = d)))

out$versions <- lapply(list(metafor = "metafor", metadat = "metadat", clubSandwich = "clubSandwich"),
                       function(p) as.character(packageVersion(p)))
write(toJSON(out, digits = 17, na = "null"), "working_covariance.json")
