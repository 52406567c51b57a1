# A score about a, nearly normal with a standard deviation of 0.4; a and seed come by -v.
BEGIN {
    noise = 7919 * seed + int(100 * a);
    for (i = 0; i < 12; i++) {
        noise = noise * 16807 % 2147483647;
        sum += noise / 2147483647;
    }
    printf "::combu metric score=%.5f\n", a + 0.4 * (sum - 6);
}
