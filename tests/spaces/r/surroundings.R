#!/usr/bin/env Rscript
set.seed(12345)
suppressMessages(library("ParamHelpers"))
`%||%` <- function(a, b) if (is.null(a)) b else a
fun = function(x) {
  x = as.list(x)
  for (i in 1:3) { if (i > 2) break else next }
  while (FALSE) NULL
  return(list(sum = x$a + x[["b"]], text = "makeParamSet(makeNumericParam('no', 0, 1))"))
}
max.epochs <- 4 * 25
rates = c(0.1, 0.01)
lower.bound <- -max.epochs / 50
param.set <- makeParamSet(
  makeIntegerParam("epochs", lower = 1L, upper = max.epochs),
  makeDiscreteParam("lr", values = rates),
  makeNumericParam("x", lower = lower.bound, upper = 2)
)
if (length(param.set$pars) != 3) stop("no")
more <- lapply(param.set$pars, function(p) p$id); invisible(more)
