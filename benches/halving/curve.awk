# A program that trains: tells the values of COMBU_PARAM_CURVE, one an epoch.
BEGIN {
    epochs = split(substr(ENVIRON["COMBU_PARAM_CURVE"], 2), loss, ",");
    pause = 0.05 * ENVIRON["COMBU_PARAM_PACE"];
    for (i = 1; i <= epochs; i++) {
        system("sleep " pause);
        printf "::combu metric loss=%.5f step=%d\n", loss[i], i;
        fflush();
    }
}
