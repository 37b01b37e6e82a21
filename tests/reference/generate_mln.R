# MLN (Cai et al. 2021) of estmeansd's printed example, 2, 4, 9 and n = 100: `Rscript generate_mln.R` (base R, jsonlite)
#
# The fit to its last digits, and once more with the tolerances of optimize() and optim() that estmeansd has, followed
# by 10 000 random numbers after set.seed(1) and the n + 1000 that its Box-Cox method draws before in the same example.

library(jsonlite)

numbers <- c(2, 4, 9)
n <- 100
middle <- floor(n / 2 + 1)
people <- c(middle - 2, n - middle - 1)

transformed <- function(power) if (power == 0) log(numbers) else (numbers^power - 1) / power
luo_wan <- function(y) {
  share <- 4 / (4 + n^0.75)
  c(share * (y[1] + y[3]) / 2 + (1 - share) * y[2], (y[3] - y[1]) / (2 * qnorm((n - 0.375) / (n + 0.25))))
}
likelihood <- function(y, at) {
  sum(dnorm(y, at[1], at[2], log = TRUE)) + sum(people * log(diff(pnorm(y, at[1], at[2]))))
}
fit <- function(power, ...) {
  y <- transformed(power)
  suppressWarnings(optim(luo_wan(y), function(at) -likelihood(y, at), ...))$par
}

# the slope of the likelihood at the power 0 is below 0 with and without the change of variables, so the power is 0
profile <- function(power) likelihood(transformed(power), luo_wan(transformed(power)))
slope <- (profile(1e-4) - profile(0)) / 1e-4
exact <- fit(0, control = list(reltol = 1e-16, maxit = 5000))

loose <- optimize(profile, c(0, 10), tol = 0.001, maximum = TRUE)$maximum
at <- fit(loose)
set.seed(1)
invisible(rnorm(n + 1000))
draws <- rnorm(10000, at[1], at[2])
draws <- draws[draws > -1 / loose & draws < 2 * at[1] + 1 / loose]
data <- (loose * draws + 1)^(1 / loose)

write_json(
  list(
    about = "generate_mln.R", r = R.version.string, slope = slope, slope_of_variables = sum(log(numbers / 4)),
    location = exact[1], scale = exact[2], simulated_mean = mean(data), simulated_sd = sd(data)
  ),
  "mln.json", digits = NA, auto_unbox = TRUE, pretty = TRUE
)
