using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Tessera.Tensors.Kernels.Jit;

/// <summary>
/// A few rounded rows times some outputs of a quantized weight, which is read where it lies, at the speed of memory. Parts of 32 elements
/// come by eight, those with even numbers in one vector of first halves and one of last halves, then those with odd numbers, so that
/// integer sums of four parts, four lanes each, are scaled at once. <c>vpdpbusd</c> wants one side unsigned: numbers of the weight are
/// raised by a power of two, and sums start from what that adds, taken away (see <see cref="StoredProductDotRows"/>).
/// </summary>
internal static unsafe class StoredProductDot
{
    /// <summary>Rows at once.</summary>
    public const int MaxRows = 4;

    /// <summary>Outputs at once where there is one row.</summary>
    public const int MaxOutputs = 2;

    private const int Types = 16;

    private static readonly nint[] s_routines = new nint[Types * (MaxRows + MaxOutputs)];

    /// <summary>What a routine is given, and counts in.</summary>
    public struct Arguments
    {
        /// <summary>The first output's row of the weight.</summary>
        public byte* Weights;

        /// <summary>Bytes from one output to the next.</summary>
        public long RowBytes;

        /// <summary>At least one; whole numbers of those at once.</summary>
        public long Outputs;

        /// <summary>The rows, as <see cref="StoredProductDotRows"/> orders them.</summary>
        public byte* X;

        /// <summary>Bytes from one row to the next.</summary>
        public long RowX;

        /// <summary>Columns over 256, at least one.</summary>
        public long Groups;

        /// <summary>Where the outputs go.</summary>
        public float* Y;

        /// <summary>Bytes from one row of y to the next.</summary>
        public long RowY;
    }

    /// <summary>The routine for a quantized type, assembled when first asked for.</summary>
    /// <param name="type">Any quantized type.</param>
    /// <param name="rows">1 to <see cref="MaxRows"/>.</param>
    /// <param name="outputs">1, or 2 of one row.</param>
    public static delegate* unmanaged[SuppressGCTransition]<void*, void> Routine(ElementType type, int rows, int outputs)
    {
        var index = ((type - ElementType.Q8_0) * (MaxRows + MaxOutputs)) + (outputs > 1 ? MaxRows + outputs - 1 : rows);
        var address = Volatile.Read(ref s_routines[index]);
        return (delegate* unmanaged[SuppressGCTransition]<void*, void>)(address != 0 ? address : Assemble(index, type, rows, outputs));
    }

    private static nint Assemble(int index, ElementType type, int rows, int outputs)
    {
        lock (s_routines)
        {
            ref var routine = ref s_routines[index];
            if (routine == 0)
                routine = (nint)AssembledCode.Assemble(assembler => new StoredProductDotWriter(assembler, type, rows, outputs).Write());
            return routine;
        }
    }
}
