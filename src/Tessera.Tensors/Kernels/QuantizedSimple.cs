using System.Runtime.Intrinsics;

namespace Tessera.Tensors.Kernels;

/// <summary>Q8_0: an F16 scale and 32 signed bytes; <c>d = max|x| / 127</c>.</summary>
internal static unsafe class Q8Format
{
    public const int Elements = 32, Bytes = 34, Numbers = 2;

    public static void Store(float* from, byte* to, int blocks)
    {
        for (; blocks > 0; blocks--, from += Elements, to += Bytes)
        {
            var greatest = 0f;
            for (var i = 0; i < Elements; i++) greatest = MathF.Max(greatest, MathF.Abs(from[i]));
            var scale = greatest / 127;
            QuantizedFormat.StoreScale(to, scale);

            // The numbers belong to the scale before it is rounded to F16.
            var inverse = scale == 0 ? 0 : 1 / scale;
            for (var i = 0; i < Elements; i++)
                ((sbyte*)to)[Numbers + i] = (sbyte)MathF.Round(from[i] * inverse, MidpointRounding.AwayFromZero);
        }
    }

    public static void Load(byte* from, float* to, int blocks)
    {
        for (; blocks > 0; blocks--, from += Bytes, to += Elements)
        {
            var scale = QuantizedFormat.Scale(from);
            QuantizedFormat.Expand(Vector128.Load((sbyte*)from + Numbers), scale, 0, to);
            QuantizedFormat.Expand(Vector128.Load((sbyte*)from + Numbers + 16), scale, 0, to + 16);
        }
    }
}

/// <summary>Q4_0: an F16 scale and 16 bytes, byte i holding element i in its low half and i + 16 in its high half;
/// <c>x = d (q − 8)</c>, where d makes the element of greatest magnitude exactly −8.</summary>
internal static unsafe class Q4Format
{
    public const int Elements = 32, Bytes = 18, Numbers = 2, Zero = 8;

    public static void Store(float* from, byte* to, int blocks)
    {
        for (; blocks > 0; blocks--, from += Elements, to += Bytes)
        {
            var greatest = 0f;
            for (var i = 0; i < Elements; i++)
                if (MathF.Abs(from[i]) > MathF.Abs(greatest)) greatest = from[i];
            var scale = greatest / -Zero;
            QuantizedFormat.StoreScale(to, scale);

            var inverse = scale == 0 ? 0 : 1 / scale;
            for (var i = 0; i < Elements / 2; i++)
                to[Numbers + i] = (byte)(Number(from[i], inverse) | (Number(from[i + 16], inverse) << 4));
        }
    }

    public static void Load(byte* from, float* to, int blocks)
    {
        var zero = Vector128.Create((sbyte)Zero);
        for (; blocks > 0; blocks--, from += Bytes, to += Elements)
        {
            var scale = QuantizedFormat.Scale(from);
            var pairs = Vector128.Load(from + Numbers);
            QuantizedFormat.Expand((pairs & Vector128.Create((byte)15)).AsSByte() - zero, scale, 0, to);
            QuantizedFormat.Expand((pairs >>> 4).AsSByte() - zero, scale, 0, to + 16);
        }
    }

    private static int Number(float value, float inverse) => Math.Min(15, (int)((value * inverse) + (Zero + 0.5f)));
}
