# A polynomial through noisy points, with a penalty on its coefficients: what a trial in R looks like.
#
# The list `candle_params` holds the hyperparameters, and the result is what candle_value_to_return holds at the end.

degree <- candle_params[["degree"]]
penalty <- candle_params[["penalty"]]

set.seed(1) # the same points for every trial
x <- runif(60, -1, 1)
y <- sin(4 * x) + rnorm(60, sd = 0.3)
fitted <- 1:20 # the other points are held out

powers <- outer(x, 0:degree, "^")
a <- powers[fitted, ]
coefficients <- solve(crossprod(a) + penalty * diag(degree + 1), crossprod(a, y[fitted]))
squares <- (y - powers %*% coefficients)^2

cat("mean squared error:", mean(squares[fitted]), "on points of the fit,", mean(squares[-fitted]), "on others\n")
candle_value_to_return <- mean(squares[-fitted])
