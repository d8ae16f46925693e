using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

/// <summary>Owned F32 tensors of numbers to start from: drawn, equal, or those of a table of positions.</summary>
public static class Initial
{
    /// <summary>Numbers of a normal distribution about 0: element i is <c>deviation · random.Normal(i)</c>, whatever the shape and the
    /// number of threads.</summary>
    /// <param name="shape">Less than 2²⁹ elements.</param>
    /// <param name="random">Where they come from.</param>
    /// <param name="deviation">Their standard deviation.</param>
    public static Tensor Normal(Shape shape, CounterRandom random, double deviation)
    {
        var drawn = Tensor.Allocate(shape);
        var work = new DrawnNumbers { Numbers = drawn.Floats, Random = random, Deviation = deviation };
        RowKernels.Run(work, Pieces(work.Numbers.Length), DrawnNumbers.Length * DrawnNumbers.CostEach);
        return drawn;
    }

    /// <summary>Equal numbers, as of a bias or of the scale of a norm.</summary>
    public static Tensor Constant(Shape shape, float value)
    {
        var constant = Tensor.Allocate(shape);
        Op.Fill(constant, value);
        return constant;
    }

    /// <summary>Sinusoids of wavelengths from 2π to 20000π: element 2i of position p is <c>sin(p / 10000^(2i/width))</c>, element 2i + 1
    /// the cosine of the same angle.
    /// <para>Vaswani et al. 2017, <see href="https://arxiv.org/abs/1706.03762"/>, section 3.5.</para></summary>
    /// <param name="positions">How many, from 0 on.</param>
    /// <param name="width">Elements of each.</param>
    /// <returns>[positions, width].</returns>
    public static Tensor Sinusoids(int positions, int width)
    {
        var table = Tensor.Allocate([positions, width]);
        Span<double> angles = new double[width];
        for (var i = 0; i < width; i++) angles[i] = Math.Pow(10000, -(double)(i - (i % 2)) / width);
        RowKernels.Run(new Waves { Angles = angles, Table = table.Floats }, positions, width * DrawnNumbers.CostEach);
        return table;
    }

    /// <summary>What attention with linear biases lowers the score of a key by for each position that lies between: <c>2^(−8h/heads)</c>
    /// for heads h = 1, 2 … where their number is a power of two; else the slopes of the power below, then every other one of
    /// the power above.
    /// <para>Press, Smith, Lewis 2021, <see href="https://arxiv.org/abs/2108.12409"/>, and the authors' code.</para></summary>
    /// <param name="heads">At least 1.</param>
    /// <returns>[heads].</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no head.</exception>
    public static Tensor LinearBiasSlopes(int heads)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(heads);
        var slopes = Tensor.Allocate([heads]);
        var slope = slopes.Floats;
        var power = 1 << (int)Math.Log2(heads);
        for (var head = 0; head < heads; head++)
        {
            slope[head] = (float)(head < power
                ? Math.Pow(2, -8.0 * (head + 1) / power)
                : Math.Pow(2, -8.0 * ((2 * (head - power)) + 1) / (2 * power)));
        }

        return slopes;
    }

    /// <summary>Cosines and sines of positions from 0 on, for <see cref="Op.Rotate"/>: <c>magnitude · cos(p · angles[pair])</c>, in double
    /// precision until it is stored.</summary>
    /// <param name="positions">How many.</param>
    /// <param name="angles">By how much each pair turns from one position to the next, in radians.</param>
    /// <param name="magnitude">Multiplies both; 1 unless a scaling of positions asks for another.</param>
    /// <returns>Two of [positions, pairs].</returns>
    public static (Tensor Cosines, Tensor Sines) Rotary(int positions, ReadOnlySpan<double> angles, double magnitude = 1)
    {
        var (cosines, sines) = (Tensor.Allocate([positions, angles.Length]), Tensor.Allocate([positions, angles.Length]));
        RotaryAngles.Fill([], positions, angles, magnitude, cosines.Floats, sines.Floats);
        return (cosines, sines);
    }

    private static int Pieces(int count) => (count + DrawnNumbers.Length - 1) / DrawnNumbers.Length;

    /// <summary>A row is a piece of the numbers.</summary>
    private ref struct DrawnNumbers : RowKernels.IRows
    {
        public const int Length = 1024;

        /// <summary>A logarithm, a root and a cosine take the time of about so many floats.</summary>
        public const long CostEach = 64;

        public Span<float> Numbers;
        public CounterRandom Random;
        public double Deviation;

        public readonly void Run(int start, int end)
        {
            var last = Math.Min((long)end * Length, Numbers.Length);
            for (var i = start * Length; i < last; i++) Numbers[i] = (float)(Deviation * Random.Normal((ulong)i));
        }
    }

    private ref struct Waves : RowKernels.IRows
    {
        public ReadOnlySpan<double> Angles;
        public Span<float> Table;

        public readonly void Run(int start, int end)
        {
            for (var position = start; position < end; position++)
            {
                var row = Table.Slice(position * Angles.Length, Angles.Length);
                for (var i = 0; i < row.Length; i++)
                {
                    var angle = position * Angles[i];
                    row[i] = (float)(i % 2 == 0 ? Math.Sin(angle) : Math.Cos(angle));
                }
            }
        }
    }
}
