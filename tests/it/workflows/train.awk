# A training: lr, wd, seed, epochs, pause (seconds after each epoch) and fall (how fast) come by -v. Its loss falls to a floor
# that depends on lr and wd, faster with a greater lr unless fall is given. Its noise is the same in every awk.
BEGIN {
    floor = 0.05 + 0.2 * (log(lr) / log(10) + 2) ^ 2 + 100 * (wd - 0.01) ^ 2;
    if (!fall) fall = lr < 0.2 ? 5 * lr : 1;
    noise = 1 + int(lr * 1e6) + 7919 * seed;
    for (i = 1; i <= epochs; i++) {
        noise = noise * 16807 % 2147483647;
        loss = floor + (2 - floor) * exp(-i * fall) + 0.03 * (noise / 2147483647 - 0.5);
        printf "::combu metric loss=%.5f step=%d\n", loss, i;
        fflush();
        if (pause > 0) system("sleep " pause);
    }
}
