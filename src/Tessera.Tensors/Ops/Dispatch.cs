using System.Numerics.Tensors;

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
        for (var slot = 0; slot < plan.Tokens.Ints.Length; slot++)
            x.Floats.Slice(plan.Tokens.Ints[slot] * width, width).CopyTo(y.Floats.Slice(slot * width, width));
        if (Tape.Write<DispatchEntry>(y, x) is { } entry) (entry.X, entry.Slots) = (x, plan.Slots);
        return y;
    }

    /// <summary>Brings slots back to their tokens: <c>y[token] = Σ gates[token, choice] · x[slot of choice]</c>.</summary>
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
        for (var token = 0; token < tokens; token++)
        {
            var row = y.Floats.Slice(token * width, width);
            row.Clear();
            for (var choice = 0; choice < choices; choice++)
            {
                var at = (token * choices) + choice;
                TensorPrimitives.MultiplyAdd(x.Floats.Slice(plan.Slots.Ints[at] * width, width), gates.Floats[at], row, row);
            }
        }

        if (Tape.Write<CombineEntry>(y, x, gates) is { } entry) (entry.X, entry.Gates, entry.Slots) = (x, gates, plan.Slots);
        return y;
    }

    private sealed class DispatchEntry : TapeEntry
    {
        public Tensor X = null!, Slots = null!;

        public override void Backward()
        {
            var dx = X.Slot!.Add();
            var (choices, width) = (Slots.Shape[1], X.Shape[1]);
            for (var i = 0; i < Slots.Ints.Length; i++)
            {
                var row = dx.Slice(i / choices * width, width);
                TensorPrimitives.Add(row, OutputGradient.Slice(Slots.Ints[i] * width, width), row);
            }
        }
    }

    private sealed class CombineEntry : TapeEntry
    {
        public Tensor X = null!, Gates = null!, Slots = null!;

        public override void Backward()
        {
            var (choices, width) = (Gates.Shape[1], X.Shape[1]);
            var accumulate = false;
            var dx = X.Slot is { } x ? x.Write(out accumulate) : default;
            var dGates = Gates.Slot is { } gates ? gates.Add() : default;
            for (var i = 0; i < Slots.Ints.Length; i++)
            {
                var dy = OutputGradient.Slice(i / choices * width, width);
                var slot = Slots.Ints[i] * width;
                if (dGates.Length > 0) dGates[i] += TensorPrimitives.Dot<float>(dy, X.Floats.Slice(slot, width));
                if (dx.Length == 0) continue;
                var row = dx.Slice(slot, width);
                if (accumulate) TensorPrimitives.MultiplyAdd(dy, Gates.Floats[i], row, row);
                else TensorPrimitives.Multiply(dy, Gates.Floats[i], row);
            }
        }
    }
}
