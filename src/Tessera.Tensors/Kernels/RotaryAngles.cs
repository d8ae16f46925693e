namespace Tessera.Tensors.Kernels;

/// <summary>Cosines and sines of the angles by which pairs are turned at some positions.</summary>
internal static class RotaryAngles
{
    /// <summary>What a cosine and a sine in double precision cost, in floats touched.</summary>
    private const long CostEach = 128;

    /// <param name="positions">The position of each row; where empty, row p is position p.</param>
    /// <param name="rows">How many rows.</param>
    /// <param name="angles">The angle of each pair from one position to the next.</param>
    /// <param name="magnitude">Multiplies what is stored.</param>
    /// <param name="cosines">rows × pairs.</param>
    /// <param name="sines">rows × pairs.</param>
    public static void Fill(
        ReadOnlySpan<int> positions, int rows, ReadOnlySpan<double> angles, double magnitude, Span<float> cosines, Span<float> sines) =>
        RowKernels.Run(
            new Rows { Positions = positions, Angles = angles, Magnitude = magnitude, Cosines = cosines, Sines = sines },
            rows, CostEach * angles.Length);

    private ref struct Rows : RowKernels.IRows
    {
        public ReadOnlySpan<int> Positions;
        public ReadOnlySpan<double> Angles;
        public double Magnitude;
        public Span<float> Cosines, Sines;

        public readonly void Run(int start, int end)
        {
            for (var row = start; row < end; row++)
            {
                var position = Positions.IsEmpty ? row : Positions[row];
                var cosines = Cosines.Slice(row * Angles.Length, Angles.Length);
                var sines = Sines.Slice(row * Angles.Length, Angles.Length);
                for (var pair = 0; pair < Angles.Length; pair++)
                {
                    var angle = position * Angles[pair];
                    cosines[pair] = (float)(Magnitude * Math.Cos(angle));
                    sines[pair] = (float)(Magnitude * Math.Sin(angle));
                }
            }
        }
    }
}
