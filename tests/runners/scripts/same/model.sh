set -e
id=$(candle_get_param id)
if [ "$id" = hpset_00003 ]; then
    echo "no data" >&2
    exit 1
fi
candle_get_param name
candle_value_to_return=$(awk -v x="$(candle_get_param x)" -v o="$(candle_get_param offset)" \
    'BEGIN { printf "%.17g", (x - 0.1)^2 + o }')
