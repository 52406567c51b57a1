# The accuracy in one fold; c and fold come by -v.
BEGIN {
    x = log(c) / log(10);
    noise = (7919 * fold + 1) * 16807 % 2147483647 / 2147483647;
    printf "::combu metric acc=%.4f\n", 0.9 - 0.03 * x * x + (noise - 0.5) * 0.02;
}
