/* step OUTPUT INPUT...: the one operation of the benches. Reads its inputs without their comment lines and writes 1 KiB
   that depends on every byte of the rest. Comments do not reach the output, so that early cutoff can be measured. */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    unsigned long long state = 1469598103934665603ull;
    for (int i = 2; i < argc; i++) {
        FILE *input = fopen(argv[i], "rb");
        if (input == NULL)
            return perror(argv[i]), 1;
        int c, start = 1, comment = 0;
        while ((c = getc(input)) != EOF) {
            if (start)
                comment = c == '#';
            start = c == '\n';
            if (!comment)
                state = (state ^ (unsigned char)c) * 1099511628211ull;
        }
        fclose(input);
    }
    FILE *output = argc > 1 ? fopen(argv[1], "wb") : NULL;
    if (output == NULL)
        return perror("output"), 1;
    for (int i = 0; i < 64; i++) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        fprintf(output, "%015llx\n", state >> 4);
    }
    return fclose(output) != 0;
}
