/* Units of one gate pattern are combinations xi of a few columns Z:

       z_j = sum_u xi[j, u] Z_u        sum_j xi[j, u] xi[j, v] = [u = v]

   A step takes the columns to what it takes the units to, while no unit leaves its line. Where the slope is 0 nothing
   reads a pre-activation: it is what it was when the columns were made, and what they have moved it by. A unit that is
   a column is seen to leave at once. A pre-activation of another has moved by no more than |xi_j| |S - S_seen|, with S
   the row of pre-activations of its columns (Cauchy and Schwarz): it is looked at where that may have taken it to a
   kink. Units that have left are columns of their own, and where these become many, all are put into columns again.

   A unit that is or was one of many that columns stand for is known to rounding. In short numbers units come to kinks
   exactly: there one that is nearer than a share `fine` of its block's pre-activations is on it. */

typedef struct {
    int array, axis; /* an array of the state, and which of its axes is that of the units */
} place_type;

/* what is known of a layer that is summed over, before there are numbers */
typedef struct {
    int units, most; /* how many; and how many numbers one has at most, with a 1 */
    int read, all; /* how many arrays have numbers of its units that are read, and with those that only follow */
    place_type place[PLACES];
    int row; /* which of them has its pre-activations, where its own activations alone read them; or -1 */
    int seen, start; /* its pre-activations after a step and at the start, see `rows_at`; or -1 */
    int kinks, shifted; /* and whether a step adds up the ones of units: intercepts, or a bias of all units */
    real kink[KINKS], slope[LINES], offset[LINES]; /* by line: 2n for piece n, 2n + 1 for the kink at its end */
} layer_type;

/* how its units stand in columns */
typedef struct {
    int *count, *blocks, *laid; /* columns, patterns of many units, and columns when all were put into them */
    int *crossed, *crossed_unit;
    signed char *before, *line; /* of each unit on every sample */
    int *of, *unit; /* of a unit its block, or ~column; of a column its unit */
    int *first, *width, *from, *size, *leaving, *order; /* of a block its columns, and its units in `order` */
    signed char *pattern, *left;
    real *xi, *rest, *begin, *ones, *due, *seen, *slope, *offset;
    real *blur; /* of a unit that is a column, how near to a kink it is on it */
} columns_type;

/* where the arrays of the state are, and how many columns each layer has */
typedef struct {
    real *array[ARRAYS];
    int count[LAYERS];
    int samples;
    real fine;
} held_type;

/* a layer above these with kinks: its pre-activations after a step and at the start, see `rows_at` */
typedef struct {
    int seen, start, width, kinks; /* the width as for `axes` */
    real kink[KINKS];
} above_type;

/* TABLES */

static void held_of(state_type *state, held_type *h);
static void columns_of(state_type *state, columns_type *c);
static void pass(state_type *state, real *work); /* what `output` gives for the columns, to PASSED */

/* an array of the state, or beyond these what `output` gives beside y */
static const real *rows_at(const held_type *h, int at, const real *work)
{
    return at < ARRAYS ? h->array[at] : work + passed_at[at - ARRAYS];
}

static int length_of(const held_type *h, int code)
{
    return code >= 0 ? code : code == -1 ? h->samples : h->count[-2 - code];
}

/* how often an array has a number of each unit: the product of its lengths before, and after, the axis of the units */
static void around(const held_type *h, place_type place, int *before, int *after)
{
    const int *const own = axes[place.array];
    *before = *after = 1;
    for (int k = 0; k < own[0]; k++) {
        if (k != place.axis) {
            *(k < place.axis ? before : after) *= length_of(h, own[k + 1]);
        }
    }
}

/* how many numbers of a unit some of the arrays have */
static int numbers_of(const held_type *h, const layer_type *t, int from, int to)
{
    int sum = 0;
    for (int p = from; p < to; p++) {
        int before, after;
        around(h, t->place[p], &before, &after);
        sum += before * after;
    }
    return sum;
}

/* the numbers of each column as a row: those that are read, and those that follow; or back into the arrays */
static void move(const held_type *h, const layer_type *t, int count, real *z, real *f, int back)
{
    const int sizes[2] = {numbers_of(h, t, 0, t->read), numbers_of(h, t, t->read, t->all)};
    int at = 0;
    for (int p = 0; p < t->all; p++) {
        real *const rows = p < t->read ? z : f, *const array = h->array[t->place[p].array];
        const int width = sizes[p >= t->read];
        int before, after;
        at = p == t->read ? 0 : at;
        around(h, t->place[p], &before, &after);
        for (int o = 0; o < before; o++) {
            for (int c = 0; c < count; c++) {
                real *const own = rows + (ptrdiff_t)c * width + at + o * after;
                real *const there = array + ((ptrdiff_t)o * count + c) * after;
                for (int i = 0; i < after; i++) {
                    if (back) {
                        there[i] = own[i];
                    } else {
                        own[i] = there[i];
                    }
                }
            }
        }
        at += before * after;
    }
}

/* `near`: how near to a kink it is on it */
static int line_of(const layer_type *t, real s, real near)
{
    int line = 0;
    for (int k = 0; k < t->kinks; k++) {
        line += (s > t->kink[k] + near) + (s >= t->kink[k] - near);
    }
    return line;
}

/* whether numbers are multiples of 2^-20, whose sums and products floats have exactly for a while */
static int is_short(const real *a, ptrdiff_t count)
{
    for (ptrdiff_t i = 0; i < count; i++) {
        const real own = a[i] * (real)1048576.0;
        if (!(own < (real)1e9 && own > (real)-1e9) || (real)(long)own != own) {
            return 0;
        }
    }
    return 1;
}

/* where a unit's numbers have its pre-activations that nothing but its own activation reads; -1 where there are none */
static int row_of(const held_type *h, const layer_type *t)
{
    return t->row < 0 ? -1 : numbers_of(h, t, 0, t->row);
}

static int is_idle(const layer_type *t, int row, int samples, const signed char *pattern, int k)
{
    return row >= 0 && k >= row && k < row + samples && t->slope[(int)pattern[k - row]] == (real)0.0;
}

static int width_for(const held_type *h, const layer_type *t, const signed char *pattern)
{
    const int numbers = numbers_of(h, t, 0, t->read), row = row_of(h, t);
    int width = numbers + t->shifted;
    for (int k = 0; k < numbers; k++) {
        width -= is_idle(t, row, h->samples, pattern, k);
    }
    return width;
}

/* ------------------------------------------------------------------------------------------- a QR decomposition */

/* a = Q R by reflections (Householder), R above the diagonal and what makes Q below it; lengths are scaled first */
static void decompose(real *a, int rows, int d, real *tau, real *sums)
{
    for (int j = 0; j < d; j++) {
        real largest = (real)0.0, square = (real)0.0;
        for (int r = j; r < rows; r++) {
            const real own = a[(ptrdiff_t)r * d + j], size = own < (real)0.0 ? -own : own;
            largest = size > largest && r > j ? size : largest;
        }
        real *const at = a + (ptrdiff_t)j * d + j;
        tau[j] = (real)0.0;
        if (largest == (real)0.0) {
            continue;
        }
        const real first = *at < (real)0.0 ? -*at : *at;
        largest = first > largest ? first : largest;
        for (int r = j; r < rows; r++) {
            const real own = a[(ptrdiff_t)r * d + j] / largest;
            square += own * own;
        }
        const real alpha = *at / largest, beta = alpha > (real)0.0 ? -SQRT(square) : SQRT(square);
        tau[j] = (beta - alpha) / beta;
        for (int r = j + 1; r < rows; r++) {
            real *const own = a + (ptrdiff_t)r * d + j;
            *own = *own / largest / (alpha - beta);
        }
        *at = beta * largest;
        for (int c = j + 1; c < d; c++) {
            sums[c] = a[(ptrdiff_t)j * d + c];
        }
        for (int r = j + 1; r < rows; r++) {
            const real *const own = a + (ptrdiff_t)r * d;
            for (int c = j + 1; c < d; c++) {
                sums[c] += own[j] * own[c];
            }
        }
        for (int c = j + 1; c < d; c++) {
            sums[c] *= tau[j];
            a[(ptrdiff_t)j * d + c] -= sums[c];
        }
        for (int r = j + 1; r < rows; r++) {
            real *const own = a + (ptrdiff_t)r * d;
            for (int c = j + 1; c < d; c++) {
                own[c] -= own[j] * sums[c];
            }
        }
    }
}

/* Q itself in its place */
static void orthonormal(real *a, int rows, int d, const real *tau, real *sums)
{
    for (int j = d - 1; j >= 0; j--) {
        for (int c = j + 1; c < d; c++) {
            sums[c] = (real)0.0;
        }
        for (int r = j + 1; r < rows; r++) {
            const real *const own = a + (ptrdiff_t)r * d;
            for (int c = j + 1; c < d; c++) {
                sums[c] += own[j] * own[c];
            }
        }
        for (int c = j + 1; c < d; c++) {
            sums[c] *= tau[j];
            a[(ptrdiff_t)j * d + c] = -sums[c];
        }
        for (int r = j + 1; r < rows; r++) {
            real *const own = a + (ptrdiff_t)r * d;
            for (int c = j + 1; c < d; c++) {
                own[c] -= own[j] * sums[c];
            }
            own[j] *= -tau[j];
        }
        a[(ptrdiff_t)j * d + j] = (real)1.0 - tau[j];
    }
}

/* ------------------------------------------------------------------------------------------------ into columns */

/* memory of a change: numbers of columns and of units, those that follow, and a matrix for a decomposition */
typedef struct {
    real *z, *f, *units, *follow, *a, *tau, *sums;
} memory_type;

static memory_type memory_of(const held_type *h, const layer_type *t, real *work)
{
    const ptrdiff_t z = (ptrdiff_t)t->units * numbers_of(h, t, 0, t->read);
    const ptrdiff_t f = (ptrdiff_t)t->units * numbers_of(h, t, t->read, t->all);
    memory_type m;
    m.z = work + LAYING;
    m.units = m.z + z;
    m.f = m.units + z;
    m.follow = m.f + f;
    m.a = m.follow + f;
    m.tau = m.a + (ptrdiff_t)t->units * t->most;
    m.sums = m.tau + t->most;
    return m;
}

/* the numbers of the units of a block from those of its columns */
static void units_of(const held_type *h, const layer_type *t, const columns_type *c, int b, const memory_type *m)
{
    const int numbers = numbers_of(h, t, 0, t->read), follow = numbers_of(h, t, t->read, t->all), row = row_of(h, t);
    for (int k = c->from[b]; k < c->from[b] + c->size[b]; k++) {
        const int u = c->order[k];
        const real *const xi = c->xi + (ptrdiff_t)u * t->most;
        real *const z = m->units + (ptrdiff_t)u * numbers, *const f = m->follow + (ptrdiff_t)u * follow;
        for (int i = 0; i < numbers; i++) {
            z[i] = (real)0.0;
        }
        for (int i = 0; i < follow; i++) {
            f[i] = c->begin[(ptrdiff_t)u * follow + i];
        }
        for (int w = 0; w < c->width[b]; w++) {
            const real *const from = m->z + (ptrdiff_t)(c->first[b] + w) * numbers;
            const real *const after = m->f + (ptrdiff_t)(c->first[b] + w) * follow;
            for (int i = 0; i < numbers; i++) {
                z[i] += xi[w] * from[i];
            }
            for (int i = 0; i < follow; i++) {
                f[i] += xi[w] * after[i];
            }
        }
        for (int n = 0; row >= 0 && n < h->samples; n++) {
            z[row + n] += c->rest[(ptrdiff_t)u * h->samples + n];
        }
    }
}

/* the numbers of all units */
static void all_units(const held_type *h, const layer_type *t, const columns_type *c, int count, const memory_type *m)
{
    const int numbers = numbers_of(h, t, 0, t->read), follow = numbers_of(h, t, t->read, t->all);
    move(h, t, count, m->z, m->f, 0);
    for (int b = 0; b < *c->blocks; b++) {
        units_of(h, t, c, b, m);
    }
    for (int u = 0; u < t->units; u++) {
        const int own = ~c->of[u];
        for (int i = 0; own >= 0 && i < numbers; i++) {
            m->units[(ptrdiff_t)u * numbers + i] = m->z[(ptrdiff_t)own * numbers + i];
        }
        for (int i = 0; own >= 0 && i < follow; i++) {
            m->follow[(ptrdiff_t)u * follow + i] = m->f[(ptrdiff_t)own * follow + i];
        }
    }
}

/* a unit as a column */
static void alone(const held_type *h, const layer_type *t, const columns_type *c, int u, int at, const memory_type *m)
{
    const int numbers = numbers_of(h, t, 0, t->read), follow = numbers_of(h, t, t->read, t->all);
    for (int i = 0; i < numbers; i++) {
        m->z[(ptrdiff_t)at * numbers + i] = m->units[(ptrdiff_t)u * numbers + i];
    }
    for (int i = 0; i < follow; i++) {
        m->f[(ptrdiff_t)at * follow + i] = m->follow[(ptrdiff_t)u * follow + i];
    }
    c->ones[at] = (real)1.0;
    c->unit[at] = u;
    c->of[u] = ~at;
    c->left[u] = 0;
}

/* the units of a block as columns from its first one on; `order` has them */
static void join(const held_type *h, const layer_type *t, const columns_type *c, int b, const memory_type *m)
{
    const int numbers = numbers_of(h, t, 0, t->read), follow = numbers_of(h, t, t->read, t->all), row = row_of(h, t);
    const int d = c->width[b], size = c->size[b], *const members = c->order + c->from[b];
    const signed char *const pattern = c->pattern + (ptrdiff_t)b * h->samples;
    for (int k = 0; k < size; k++) {
        const real *const own = m->units + (ptrdiff_t)members[k] * numbers;
        real *to = m->a + (ptrdiff_t)k * d;
        for (int i = 0; i < numbers; i++) {
            if (!is_idle(t, row, h->samples, pattern, i)) {
                *to++ = own[i];
            }
        }
        if (t->shifted) {
            *to = (real)1.0;
        }
    }
    decompose(m->a, size, d, m->tau, m->sums);
    for (int w = 0; w < d; w++) {
        real *const z = m->z + (ptrdiff_t)(c->first[b] + w) * numbers;
        int at = 0;
        for (int i = 0; i < numbers; i++) {
            const int counts = !is_idle(t, row, h->samples, pattern, i);
            z[i] = counts && at >= w ? m->a[(ptrdiff_t)w * d + at] : (real)0.0;
            at += counts;
        }
        for (int i = 0; i < follow; i++) {
            m->f[(ptrdiff_t)(c->first[b] + w) * follow + i] = (real)0.0;
        }
        c->ones[c->first[b] + w] = t->shifted ? m->a[(ptrdiff_t)w * d + d - 1] : (real)0.0;
        c->unit[c->first[b] + w] = -1;
    }
    orthonormal(m->a, size, d, m->tau, m->sums);
    for (int k = 0; k < size; k++) {
        const int u = members[k];
        c->of[u] = b;
        for (int w = 0; w < d; w++) {
            c->xi[(ptrdiff_t)u * t->most + w] = m->a[(ptrdiff_t)k * d + w];
        }
        for (int i = 0; i < follow; i++) {
            c->begin[(ptrdiff_t)u * follow + i] = m->follow[(ptrdiff_t)u * follow + i];
        }
        for (int n = 0; row >= 0 && n < h->samples; n++) {
            const int idle = is_idle(t, row, h->samples, pattern, row + n);
            const real own = m->units[(ptrdiff_t)u * numbers + row + n];
            c->rest[(ptrdiff_t)u * h->samples + n] = idle ? own : (real)0.0;
        }
    }
}

/* whether unit a comes after unit b: by their patterns, then by their numbers */
static int is_after(const signed char *line, int samples, int a, int b)
{
    for (int n = 0; n < samples; n++) {
        const int one = line[(ptrdiff_t)a * samples + n], other = line[(ptrdiff_t)b * samples + n];
        if (one != other) {
            return one > other;
        }
    }
    return a > b;
}

/* all units in the order of their patterns, as a heap */
static void sort(const layer_type *t, const columns_type *c, int samples)
{
    int *const order = c->order, start = t->units / 2, end = t->units;
    for (int u = 0; u < t->units; u++) {
        order[u] = u;
    }
    while (end > 1) {
        if (start > 0) {
            start--;
        } else {
            const int last = order[--end];
            order[end] = order[0];
            order[0] = last;
        }
        int root = start;
        while (2 * root + 1 < end) {
            int child = 2 * root + 1;
            child += child + 1 < end && is_after(c->line, samples, order[child + 1], order[child]);
            if (!is_after(c->line, samples, order[child], order[root])) {
                break;
            }
            const int own = order[root];
            order[root] = order[child];
            order[child] = own;
            root = child;
        }
    }
}

/* every unit into columns anew: a block for every pattern of many units, unless one of them is on a kink */
static void lay_out(held_type *h, int n, const columns_type *c, int together, real *work)
{
    const layer_type *const t = &layers[n];
    const memory_type m = memory_of(h, t, work);
    const int samples = h->samples;
    int from = 0, at = 0;
    all_units(h, t, c, h->count[n], &m);
    sort(t, c, samples);
    *c->blocks = 0;
    for (int u = 0; u < t->units; u++) {
        c->left[u] = 1; /* until it is in a block */
    }
    while (from < t->units) {
        const signed char *const pattern = c->line + (ptrdiff_t)c->order[from] * samples;
        int to = from + 1, kink = 0, same = 1;
        while (to < t->units && same) {
            const signed char *const other = c->line + (ptrdiff_t)c->order[to] * samples;
            for (int k = 0; k < samples; k++) {
                same &= other[k] == pattern[k];
            }
            to += same;
        }
        for (int k = 0; k < samples; k++) {
            kink |= pattern[k] % 2;
        }
        const int d = width_for(h, t, pattern), b = *c->blocks;
        if (together && !kink && d > 0 && to - from > WORTH * d) {
            for (int k = 0; k < samples; k++) {
                c->pattern[(ptrdiff_t)b * samples + k] = pattern[k];
            }
            c->first[b] = at;
            c->width[b] = d;
            c->from[b] = from;
            c->size[b] = to - from;
            c->leaving[b] = 0;
            for (int k = from; k < to; k++) {
                c->left[c->order[k]] = 0;
            }
            join(h, t, c, b, &m);
            at += d;
            *c->blocks = b + 1;
        }
        from = to;
    }
    for (int u = 0; u < t->units; u++) {
        if (c->left[u]) {
            alone(h, t, c, u, at++, &m);
        }
    }
    *c->count = *c->laid = h->count[n] = at;
    move(h, t, at, m.z, m.f, 1);
}

/* those that have left their blocks into columns of their own; 0 where all have to be laid out anew */
static int lay_aside(held_type *h, int n, const columns_type *c, real *work)
{
    const layer_type *const t = &layers[n];
    const memory_type m = memory_of(h, t, work);
    int count = h->count[n], leaving = 0;
    for (int b = 0; b < *c->blocks; b++) {
        const signed char *const pattern = c->pattern + (ptrdiff_t)b * h->samples;
        leaving += c->leaving[b];
        if (c->leaving[b] && (c->size[b] - c->leaving[b] <= c->width[b] || width_for(h, t, pattern) != c->width[b])) {
            return 0;
        }
    }
    if (count + leaving > *c->laid + (*c->laid > 1024 ? *c->laid / 32 : 32)) {
        return 0;
    }
    move(h, t, count, m.z, m.f, 0);
    for (int b = 0; b < *c->blocks; b++) {
        if (c->leaving[b]) {
            int *const members = c->order + c->from[b], stay = 0;
            units_of(h, t, c, b, &m);
            for (int k = 0; k < c->size[b]; k++) {
                if (c->left[members[k]]) {
                    alone(h, t, c, members[k], count++, &m);
                } else {
                    members[stay++] = members[k];
                }
            }
            c->size[b] = stay;
            join(h, t, c, b, &m);
        }
    }
    *c->count = h->count[n] = count;
    move(h, t, count, m.z, m.f, 1);
    return 1;
}

/* the slopes and intercepts of the columns, (samples, columns) */
static void hold(const held_type *h, int n, const columns_type *c)
{
    const layer_type *const t = &layers[n];
    const int count = h->count[n];
    for (int k = 0; k < h->samples && c->slope; k++) {
        for (int b = 0; b < *c->blocks; b++) {
            for (int at = c->first[b]; at < c->first[b] + c->width[b]; at++) {
                const int line = c->pattern[(ptrdiff_t)b * h->samples + k];
                c->slope[k * count + at] = t->slope[line];
                if (t->shifted) {
                    c->offset[k * count + at] = t->offset[line] * c->ones[at];
                }
            }
        }
        for (int at = 0; at < count; at++) {
            if (c->unit[at] >= 0) {
                const int line = c->line[(ptrdiff_t)c->unit[at] * h->samples + k];
                c->slope[k * count + at] = t->slope[line];
                if (t->shifted) {
                    c->offset[k * count + at] = t->offset[line];
                }
            }
        }
    }
}

/* ------------------------------------------------------------------------------------------ who has left its line */

/* `near`: of all samples, or where these are `apart` of each */
static void note(
    const columns_type *c, int samples, int u, const real *s, const real *near, int apart, int step,
    const layer_type *t)
{
    const ptrdiff_t to = (ptrdiff_t)*c->crossed * samples, own = (ptrdiff_t)u * samples;
    for (int n = 0; n < samples; n++) {
        c->before[to + n] = c->line[own + n];
        c->line[own + n] = (signed char)line_of(t, s[n * step], near[apart ? n : 0]);
    }
    c->crossed_unit[(*c->crossed)++] = u;
}

static int has_left(
    const layer_type *t, int samples, const signed char *line, const real *s, const real *near, int apart,
    int step)
{
    for (int n = 0; n < samples; n++) {
        if (line_of(t, s[n * step], near[apart ? n : 0]) != line[n]) {
            return 1;
        }
    }
    return 0;
}

/* how far the rows may go before a unit of a block may have left its line; with `notes`, which units have */
static void look_at(
    const held_type *h, int n, const columns_type *c, int b, const real *rows, real *s, int notes)
{
    const layer_type *const t = &layers[n];
    const int samples = h->samples, count = h->count[n], width = c->width[b];
    const signed char *const pattern = c->pattern + (ptrdiff_t)b * samples;
    real *const due = c->due + (ptrdiff_t)b * samples, *const near = s + samples, *const size = near + samples;
    real blur = (real)0.0;
    for (int k = 0; k < samples; k++) {
        real before = (real)0.0, now = (real)0.0;
        due[k] = LARGEST;
        for (int w = c->first[b]; w < c->first[b] + width; w++) {
            const real own = rows[k * (ptrdiff_t)count + w];
            real *const seen = c->seen + k * (ptrdiff_t)t->units + w;
            before += notes ? *seen * *seen : (real)0.0; /* else there is none yet */
            now += own * own;
            *seen = own;
        }
        size[k] = h->fine * SQRT(before > now ? before : now);
        blur = size[k] > blur ? size[k] : blur;
    }
    for (int i = c->from[b]; i < c->from[b] + c->size[b]; i++) {
        const int u = c->order[i];
        const real *const xi = c->xi + (ptrdiff_t)u * t->most;
        real length = (real)0.0;
        for (int w = 0; w < width; w++) {
            length += xi[w] * xi[w];
        }
        length = SQRT(length) + TINY;
        c->blur[u] = blur;
        for (int k = 0; k < samples; k++) {
            near[k] = size[k] * length / (real)2.0;
            const real *const own = rows + k * (ptrdiff_t)count + c->first[b];
            const int piece = pattern[k] / 2;
            const real rest = t->row < 0 ? (real)0.0 : c->rest[(ptrdiff_t)u * samples + k];
            real room = LARGEST;
            s[k] = (real)0.0;
            for (int w = 0; w < width; w++) {
                s[k] += xi[w] * own[w];
            }
            s[k] += rest;
            if (piece > 0 && s[k] - t->kink[piece - 1] < room) {
                room = s[k] - t->kink[piece - 1];
            }
            if (piece < t->kinks && t->kink[piece] - s[k] < room) {
                room = t->kink[piece] - s[k];
            }
            room -= (real)64.0 * EPSILON * (rest < (real)0.0 ? -rest : rest); /* it rounds by itself */
            due[k] = room < due[k] * length ? room / length : due[k];
        }
        if (notes && has_left(t, samples, pattern, s, near, 1, 1)) {
            note(c, samples, u, s, near, 1, 1, t);
            c->left[u] = 1;
            c->leaving[b]++;
        }
    }
}

/* every unit on the line that it is on now; 1 where columns have left, 2 where units of blocks have */
static int look(const held_type *h, int n, const columns_type *c, const real *rows, real *s)
{
    const layer_type *const t = &layers[n];
    const int samples = h->samples, count = h->count[n];
    int found = 0;
    for (int at = 0; at < count; at++) {
        const int u = c->unit[at];
        if (u >= 0 && has_left(t, samples, c->line + (ptrdiff_t)u * samples, rows + at, c->blur + u, 0, count)) {
            note(c, samples, u, rows + at, c->blur + u, 0, count, t);
            found = 1;
        }
    }
    for (int b = 0; b < *c->blocks; b++) {
        const real rounding = (real)(64 + 2 * c->width[b]) * EPSILON + h->fine;
        int suspect = 0;
        for (int k = 0; k < samples && !suspect; k++) {
            real far = (real)0.0, size = (real)0.0;
            for (int w = c->first[b]; w < c->first[b] + c->width[b]; w++) {
                const real own = rows[k * (ptrdiff_t)count + w], gone = own - c->seen[k * (ptrdiff_t)t->units + w];
                far += gone * gone;
                size += own * own;
            }
            far = SQRT(far) + TINY;
            size = SQRT(size) + TINY;
            suspect = !(far + rounding * (size + far) < c->due[(ptrdiff_t)b * samples + k]);
        }
        if (suspect) {
            look_at(h, n, c, b, rows, s, 1);
            found = c->leaving[b] ? 2 : found;
        }
    }
    return found;
}

/* the state with units on their new lines in columns; `how`: of each layer, what `look` found, or 3 for all anew */
static void lay(state_type *state, const int *how, real *work)
{
    held_type h;
    columns_type c[LAYERS];
    int anew[LAYERS], passed = 0;
    held_of(state, &h);
    columns_of(state, c);
    for (int n = 0; n < LAYERS; n++) {
        anew[n] = how[n] == 3 || (how[n] == 2 && !lay_aside(&h, n, &c[n], work));
        if (anew[n]) {
            lay_out(&h, n, &c[n], state->together, work);
        }
    }
    for (int n = 0; n < LAYERS; n++) {
        hold(&h, n, &c[n]);
    }
    for (int n = 0; n < LAYERS; n++) {
        if (how[n] < 2 || !*c[n].blocks || layers[n].seen < 0) {
            continue;
        }
        if (layers[n].seen >= ARRAYS && !passed) {
            pass(state, work);
            passed = 1;
        }
        for (int b = 0; b < *c[n].blocks; b++) {
            if (anew[n] || c[n].leaving[b]) {
                c[n].leaving[b] = 0;
                look_at(&h, n, &c[n], b, rows_at(&h, layers[n].seen, work), work + SEEN, 0);
            }
        }
    }
}

/* a number that is none is one by itself */
static int is_finite(const real *a, ptrdiff_t count)
{
    int bad = 0;
    for (ptrdiff_t i = 0; i < count; i++) {
        bad |= !(a[i] - a[i] == (real)0.0);
    }
    return !bad;
}

/* whether a unit above is exactly on a kink, which rounding would take it off; at the start, or after a step */
static int on_kinks(const held_type *h, const real *work, int started)
{
    for (int n = 0; n < ABOVE; n++) {
        const int count = h->samples * length_of(h, above[n].width);
        const real *const s = started ? work + started_at[above[n].start] : rows_at(h, above[n].seen, work);
        for (int k = 0; k < above[n].kinks; k++) {
            for (int i = 0; i < count; i++) {
                if (s[i] == above[n].kink[k]) {
                    return 1;
                }
            }
        }
    }
    return 0;
}

/* the state at the start: its arrays are of the units, and `work` has their pre-activations */
static void begin(state_type *state, int apart, real *work)
{
    held_type h;
    columns_type c[LAYERS];
    int how[LAYERS];
    columns_of(state, c);
    state->apart = apart;
    state->steps = state->events = 0;
    for (int n = 0; n < LAYERS; n++) {
        how[n] = 3;
        *c[n].count = layers[n].units;
        *c[n].blocks = *c[n].crossed = 0;
        for (int u = 0; u < layers[n].units; u++) {
            c[n].of[u] = ~u;
            c[n].blur[u] = (real)0.0;
            for (int k = 0; k < state->samples; k++) {
                const int at = layers[n].start;
                const real s = at < 0 ? (real)0.0 : work[started_at[at] + k * (ptrdiff_t)layers[n].units + u];
                c[n].line[(ptrdiff_t)u * state->samples + k] = (signed char)line_of(&layers[n], s, (real)0.0);
            }
        }
    }
    held_of(state, &h);
    state->together = !apart && !on_kinks(&h, work, 1);
    lay(state, how, work);
}

/* the arrays of the state with all units in place of columns, in `work`; those without units as they are */
static void whole(const held_type *own, held_type *h, const columns_type *c, real *work)
{
    real *to = work + WHOLE;
    *h = *own;
    for (int k = 0; k < ARRAYS; k++) {
        ptrdiff_t size = 1, most = 1;
        for (int axis = 0; axis < axes[k][0]; axis++) {
            const int code = axes[k][axis + 1];
            size *= length_of(h, code);
            most *= code < -1 ? layers[-2 - code].units : length_of(h, code);
        }
        for (ptrdiff_t i = 0; i < size; i++) {
            to[i] = h->array[k][i];
        }
        h->array[k] = to;
        to += most;
    }
    for (int n = 0; n < LAYERS; n++) {
        const memory_type m = memory_of(h, &layers[n], work);
        all_units(h, &layers[n], &c[n], h->count[n], &m);
        move(h, &layers[n], layers[n].units, m.units, m.follow, 1);
        h->count[n] = layers[n].units;
    }
}

/* after a step: who has left its line, and into columns with those */
static int after_step(state_type *state, real *work)
{
    held_type h;
    columns_type c[LAYERS];
    int how[LAYERS], any = 0, passed = 0;
    held_of(state, &h);
    columns_of(state, c);
    state->steps++;
    for (int k = 0; k < ARRAYS; k++) {
        ptrdiff_t size = 1;
        for (int axis = 0; axis < axes[k][0]; axis++) {
            size *= length_of(&h, axes[k][axis + 1]);
        }
        if (!is_finite(h.array[k], size)) {
            return UNDEFINED;
        }
    }
    for (int n = 0; n < LAYERS; n++) {
        how[n] = *c[n].crossed = 0;
        if (layers[n].seen < 0) {
            continue;
        }
        if (layers[n].seen >= ARRAYS && !passed) {
            pass(state, work);
            passed = 1;
        }
        how[n] = look(&h, n, &c[n], rows_at(&h, layers[n].seen, work), work + SEEN);
        state->events += *c[n].crossed;
        any |= how[n];
    }
    if (!state->together && !state->apart) {
        if (!passed) {
            pass(state, work);
        }
        if (!on_kinks(&h, work, 0)) {
            state->together = any = 1;
            for (int n = 0; n < LAYERS; n++) {
                how[n] = 3;
            }
        }
    }
    if (any) {
        lay(state, how, work);
    }
    return OK;
}
