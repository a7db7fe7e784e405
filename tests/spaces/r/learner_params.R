param.set <- makeParamSet(
  makeNumericLearnerParam("cp", lower = 0, upper = 1, default = 0.01, when = "train"),
  makeIntegerLearnerParam(id = "minsplit", default = 20L, lower = 1L, upper = 100L),
  makeDiscreteLearnerParam("split", values = c("gini", "information"), default = "gini"),
  makeLogicalLearnerParam(id = "keep", default = FALSE, tunable = FALSE),
  makeNumericVectorLearnerParam(id = "weights", len = 2L, lower = 0, upper = 1),
  makeIntegerVectorLearnerParam(id = "counts", len = 2L, lower = 0L, upper = 3L),
  makeDiscreteVectorLearnerParam(id = "codes", len = 2L, values = c("a", "b"))
)
