using System.Numerics.Tensors;
using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary>Copies tokens to their slots: <c>y[slot] = x[token of slot]</c>.</summary>
    /// <param name="x">[tokens, width].</param>
    /// <param name="plan">For as many tokens.</param>
    /// <returns>[slots, width].</returns>
    public static Tensor Dispatch(Tensor x, in DispatchPlan plan)
    {
        ShapeException.Require(x.Shape.Rank == 2 && x.Shape[0] == plan.Slots.Shape[0], "dispatch", "x", x, "plan", plan.Slots);
        var width = x.Shape[1];
        var y = Tensor.Temporary([plan.Tokens.Shape[0], width]);
        RowKernels.Run(
            new LookUp
            {
                Ids = plan.Tokens.Ints,
                Table = x.Floats,
                Y = y.Floats,
                Width = width,
                Scale = 1,
            },
            plan.Tokens.Shape[0],
            2L * width);
        if (Tape.Write<DispatchEntry>(y, x) is { } entry) (entry.X, entry.Slots) = (x, plan.Slots);
        GC.KeepAlive(x);
        return y;
    }

    /// <summary>Brings slots back to their tokens: <c>y[token] = Σ gates[token, choice] · x[slot of choice]</c>; 0 for padding, which has no
    /// slots.</summary>
    /// <param name="x">[slots, width].</param>
    /// <param name="gates">[tokens, choices].</param>
    /// <param name="plan">The plan the slots were made with.</param>
    /// <returns>[tokens, width].</returns>
    public static Tensor Combine(Tensor x, Tensor gates, in DispatchPlan plan)
    {
        ShapeException.Require(x.Shape.Rank == 2 && x.Shape[0] == plan.Tokens.Shape[0], "combine", "x", x, "plan", plan.Tokens);
        ShapeException.Require(gates.Shape == plan.Slots.Shape, "combine", "gates", gates, "plan", plan.Slots);
        var (tokens, choices, width) = (gates.Shape[0], gates.Shape[1], x.Shape[1]);
        var y = Tensor.Temporary([tokens, width]);
        var rows = new Gathered
        {
            From = x.Floats,
            Slots = plan.Slots.Ints,
            Gates = gates.Floats,
            To = y.Floats,
            Choices = choices,
            Width = width,
        };
        RowKernels.Run(rows, tokens, (choices + 1L) * width);
        if (Tape.Write<CombineEntry>(y, x, gates) is { } entry) (entry.X, entry.Gates, entry.Slots) = (x, gates, plan.Slots);
        GC.KeepAlive(x);
        GC.KeepAlive(gates);
        return y;
    }

    /// <summary>To each token the sum of its slots, times their gates where there are any.</summary>
    private ref struct Gathered : RowKernels.IRows
    {
        public ReadOnlySpan<float> From, Gates;
        public ReadOnlySpan<int> Slots;
        public Span<float> To;
        public int Choices, Width;
        public bool Accumulate;

        public readonly void Run(int start, int end)
        {
            if (Choices == 0 && !Accumulate) To[(start * Width)..(end * Width)].Clear();
            for (var at = start * Choices; at < end * Choices; at++)
            {
                var to = To.Slice(at / Choices * Width, Width);
                if (Slots[at] < 0)
                {
                    if (!Accumulate && at % Choices == 0) to.Clear();
                    continue;
                }

                var from = From.Slice(Slots[at] * Width, Width);
                var gate = Gates.IsEmpty ? 1 : Gates[at];
                if (Accumulate || at % Choices > 0) TensorPrimitives.MultiplyAdd(from, gate, to, to);
                else TensorPrimitives.Multiply(from, gate, to);
            }
        }
    }

    private sealed class DispatchEntry : TapeEntry
    {
        public Tensor X = null!, Slots = null!;

        public override void Backward()
        {
            var (choices, width) = (Slots.Shape[1], X.Shape[1]);
            var dx = X.Slot!.Write(out var accumulate);
            var rows = new Gathered
            {
                From = OutputGradient,
                Slots = Slots.Ints,
                To = dx,
                Choices = choices,
                Width = width,
                Accumulate = accumulate,
            };
            RowKernels.Run(rows, X.Shape[0], (choices + 1L) * width);
        }
    }

    private sealed class CombineEntry : TapeEntry
    {
        public Tensor X = null!, Gates = null!, Slots = null!;

        public override void Backward()
        {
            var (tokens, choices, width) = (Gates.Shape[0], Gates.Shape[1], X.Shape[1]);
            var rows = new Scattered
            {
                X = X.Floats,
                Gates = Gates.Floats,
                Dy = OutputGradient,
                Slots = Slots.Ints,
                Choices = choices,
                Width = width,
            };
            var gates = Gates.Slot;
            if (gates is not null) rows.DGates = gates.Add();
            if (gates is not null && gates == X.Slot) // one tensor's two gradients, whose rows are not the same tokens'
            {
                RowKernels.Run(rows, tokens, 2L * choices * width);
                rows.DGates = default;
            }

            if (X.Slot is { } x) rows.Dx = x.Write(out rows.Accumulate);
            RowKernels.Run(rows, tokens, 3L * choices * width);
        }
    }

    /// <summary>The gradients of each token's slots and gates; a slot is one token's alone.</summary>
    private ref struct Scattered : RowKernels.IRows
    {
        public ReadOnlySpan<float> X, Gates, Dy;
        public ReadOnlySpan<int> Slots;
        public Span<float> Dx, DGates;
        public int Choices, Width;
        public bool Accumulate;

        public readonly void Run(int start, int end)
        {
            for (var at = start * Choices; at < end * Choices; at++)
            {
                if (Slots[at] < 0) continue;
                var dy = Dy.Slice(at / Choices * Width, Width);
                var slot = Slots[at] * Width;
                if (!DGates.IsEmpty) DGates[at] += TensorPrimitives.Dot(dy, X.Slice(slot, Width));
                if (Dx.IsEmpty) continue;
                var dx = Dx.Slice(slot, Width);
                if (Accumulate) TensorPrimitives.MultiplyAdd(dy, Gates[at], dx, dx);
                else TensorPrimitives.Multiply(dy, Gates[at], dx);
            }
        }
    }
}
