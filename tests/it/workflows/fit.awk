# A fit of lr, wd, layers and act, which come by -v.
BEGIN {
    x = log(lr) / log(10) + 2;
    y = log(wd) / log(10) + 3;
    printf "::combu metric loss=%.5f\n", x * x + 0.5 * y * y + 0.1 * (layers - 4) ^ 2 + (act == "relu" ? 0 : 0.3);
}
