# A straight line through noisy points, by gradient descent with momentum: what a trial in bash looks like.
#
# `candle_get_param NAME` prints a hyperparameter, and the result is what candle_value_to_return holds at the end. The
# working directory is the trial's own, so a file such as losses.txt is kept with it.

rate=$(candle_get_param learning_rate)
momentum=$(candle_get_param momentum)
steps=$(candle_get_param steps)

# Print the number of each step and the mean squared error behind it, on points that are held out from the fit.
fit() {
    LC_ALL=C awk -v rate="$rate" -v momentum="$momentum" -v steps="$steps" '
        BEGIN {
            for (i = 0; i < 80; i++) {
                x[i] = i / 40 - 1
                y[i] = 2 * x[i] - 1 + 0.3 * sin(37 * i)
            }
            for (step = 1; step <= steps; step++) {
                slope_gradient = offset_gradient = loss = 0
                for (i = 0; i < 80; i += 2) {  # even points: the fit
                    error = slope * x[i] + offset - y[i]
                    slope_gradient += 2 * error * x[i] / 40
                    offset_gradient += 2 * error / 40
                }
                slope_speed = momentum * slope_speed - rate * slope_gradient
                offset_speed = momentum * offset_speed - rate * offset_gradient
                slope += slope_speed
                offset += offset_speed
                for (i = 1; i < 80; i += 2)  # odd points: held out
                    loss += (slope * x[i] + offset - y[i]) ^ 2 / 40
                printf "%d %.9g\n", step, loss
            }
        }'
}

fit > losses.txt
tail -n 3 losses.txt
candle_value_to_return=$(awk 'END { print $2 }' losses.txt)
