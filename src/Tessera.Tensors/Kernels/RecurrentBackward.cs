using System.Runtime.CompilerServices;

namespace Tessera.Tensors.Kernels;

/// <summary>The time loop of a recurrent cell's gradient: from the last step back to the first.</summary>
internal static unsafe class RecurrentBackward
{
    /// <summary>What the loop reads and writes; D directions, each of its own place in the arrays.</summary>
    public readonly ref struct Arrays
    {
        /// <summary>[D, B, T, 4H]: the records that <see cref="RecurrentForward"/> left, replaced by their gradients; zero
        /// after a row's end.</summary>
        public required Span<float> Records { get; init; }

        /// <summary>[D, 4H]: the sum of the records' gradients.</summary>
        public required Span<float> BiasGradient { get; init; }

        /// <summary>[D, B, T, H]: the hidden state before each step, written for the weights' gradient; zero after a row's end.</summary>
        public required Span<float> PreviousHidden { get; init; }

        /// <summary>[D] recurrent weights, packed as they are.</summary>
        public required ReadOnlySpan<float> Weights { get; init; }

        /// <summary>[B, T, D H].</summary>
        public required ReadOnlySpan<float> Outputs { get; init; }

        /// <summary>[D, B, T, H], or nothing where the cell's kind has none.</summary>
        public required ReadOnlySpan<float> Cells { get; init; }

        /// <summary>[D, B, H], or nothing for zeros.</summary>
        public required ReadOnlySpan<float> InitialHidden { get; init; }

        /// <inheritdoc cref="InitialHidden"/>
        public required ReadOnlySpan<float> InitialCell { get; init; }

        /// <summary>[B, T, D H], or nothing where none has arrived.</summary>
        public required ReadOnlySpan<float> OutputGradient { get; init; }

        /// <summary>[D, B, H]: the final state's gradient, replaced by the initial state's.</summary>
        public required Span<float> HiddenGradient { get; init; }

        /// <summary>As <see cref="HiddenGradient"/>, or nothing where the cell's kind has none.</summary>
        public required Span<float> CellGradient { get; init; }

        /// <summary>Rows and their lengths, longest first, from <see cref="RecurrentPlan.Sort"/>.</summary>
        public required ReadOnlySpan<int> Order { get; init; }

        /// <inheritdoc cref="Order"/>
        public required ReadOnlySpan<int> Ends { get; init; }

        /// <summary><see cref="ScratchSize"/> floats.</summary>
        public required Span<float> Scratch { get; init; }
    }

    /// <summary>Floats of scratch memory needed.</summary>
    public static int ScratchSize<TCell>(in RecurrentPlan plan) where TCell : struct, IRecurrentCell =>
        checked(plan.Parts * ScratchOfPart<TCell>(plan));

    /// <summary>Runs all sequences from their last step to their first.</summary>
    public static void Run<TCell>(RecurrentPlan plan, in Arrays arrays) where TCell : struct, IRecurrentCell
    {
        fixed (int* order = arrays.Order, ends = arrays.Ends)
        fixed (float* records = arrays.Records, previousHidden = arrays.PreviousHidden, weights = arrays.Weights, scratch = arrays.Scratch)
        fixed (
            float* outputs = arrays.Outputs,
                cells = arrays.Cells,
                initialHidden = arrays.InitialHidden,
                initialCell = arrays.InitialCell)
        fixed (float* outputGradient = arrays.OutputGradient, hiddenGradient = arrays.HiddenGradient, cellGradient = arrays.CellGradient)
        {
            plan.Order = order;
            plan.Ends = ends;
            var work = new Work<TCell>
            {
                Plan = plan, Records = records, PreviousHidden = previousHidden, Weights = weights, Scratch = scratch, Outputs = outputs,
                Cells = cells, InitialHidden = initialHidden, InitialCell = initialCell, OutputGradient = outputGradient,
                HiddenGradient = hiddenGradient, CellGradient = cellGradient,
            };
            Simd.Run(ref work, plan.Parts);
        }

        SumBiasGradients<TCell>(plan, arrays.Scratch, arrays.BiasGradient);
    }

    /// <summary>Each part has summed its own rows, at the start of its scratch memory.</summary>
    private static void SumBiasGradients<TCell>(in RecurrentPlan plan, ReadOnlySpan<float> scratch, Span<float> sums)
        where TCell : struct, IRecurrentCell
    {
        sums.Clear();
        var width = IRecurrentCell.RecordVectors * plan.Units;
        for (var part = 0; part < plan.Parts; part++)
            RowKernels.SumRows(scratch.Slice(part * ScratchOfPart<TCell>(plan), width), sums.Slice(part / plan.Slices * width, width));
    }

    private static int ScratchOfPart<TCell>(in RecurrentPlan plan) where TCell : struct, IRecurrentCell =>
        ((IRecurrentCell.RecordVectors + 1) * plan.Units)
        + (plan.LargestSlice * (RecurrentProduct.Padded(plan.Units) + ((TCell.Gates + 1) * plan.Units)));

    private struct Work<TCell> : IVectorWork where TCell : struct, IRecurrentCell
    {
        public RecurrentPlan Plan;
        public float* Records, PreviousHidden, Weights, Scratch, Outputs, Cells, InitialHidden, InitialCell;
        public float* OutputGradient, HiddenGradient, CellGradient;

        public void Run<V>(int part) where V : struct, ILanes<V>
        {
            var slice = Plan.Of(part);
            var units = Plan.Units;
            var padded = RecurrentProduct.Padded(units);
            var width = TCell.Gates * units;
            var weights = Weights + ((long)slice.Direction * width * padded);
            var memory = new Memory(Scratch + ((long)part * ScratchOfPart<TCell>(Plan)), slice.Rows, units, padded);
            new Span<float>(memory.BiasGradient, IRecurrentCell.RecordVectors * units).Clear();
            new Span<float>(memory.Zeros, units).Clear();
            for (var row = 0; row < slice.Rows; row++)
            {
                var state = slice.State(row) * units;
                new Span<float>(HiddenGradient + state, units).CopyTo(new Span<float>(memory.Hidden + (row * padded), units));
                if (CellGradient is not null)
                    new Span<float>(CellGradient + state, units).CopyTo(new Span<float>(memory.Cell + (row * units), units));
            }

            var running = 0;
            for (var step = Plan.Length - 1; step >= 0; step--)
            {
                while (running < slice.Rows && slice.End(running) > step) running++;
                for (var row = 0; row < running; row++) Step<V>(slice, row, step, memory);
                for (var row = running; row < slice.Rows; row++) Clear(slice.Step(row, step));
                RecurrentProduct.Multiply<V>(
                    memory.Product, width, running, weights, width, units, memory.Hidden, padded, accumulate: true);
            }

            for (var row = 0; row < slice.Rows; row++)
            {
                var state = slice.State(row) * units;
                new Span<float>(memory.Hidden + (row * padded), units).CopyTo(new Span<float>(HiddenGradient + state, units));
                if (CellGradient is not null)
                    new Span<float>(memory.Cell + (row * units), units).CopyTo(new Span<float>(CellGradient + state, units));
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void Step<V>(in RecurrentPlan.Slice slice, int row, int step, in Memory memory) where V : struct, ILanes<V>
        {
            var units = Plan.Units;
            var index = slice.Step(row, step);
            var state = slice.State(row) * units;
            var at = new RecurrentBackwardRow
            {
                Units = units,
                Record = Records + (index * IRecurrentCell.RecordVectors * units),
                BiasGradient = memory.BiasGradient,
                ProductGradient = memory.Product + (row * TCell.Gates * units),
                PreviousHidden =
                    step > 0 ? Outputs + Output(slice, row, step - 1)
                    : InitialHidden is null ? memory.Zeros
                    : InitialHidden + state,
                PreviousCell =
                    step > 0 ? Cells + (slice.Step(row, step - 1) * units)
                    : InitialCell is null ? memory.Zeros
                    : InitialCell + state,
                Cell = Cells + (index * units),
                OutputGradient = OutputGradient is null ? memory.Zeros : OutputGradient + Output(slice, row, step),
                HiddenGradient = memory.Hidden + (row * memory.PaddedUnits),
                CellGradient = memory.Cell + (row * units),
            };
            new Span<float>(at.PreviousHidden, units).CopyTo(new Span<float>(PreviousHidden + (index * units), units));
            var j = 0;
            for (; j + V.Count <= units; j += V.Count) TCell.Backward<V>(at, j);
            for (; j < units; j++) TCell.Backward<Lanes1>(at, j);
        }

        private readonly long Output(in RecurrentPlan.Slice slice, int row, int step) =>
            ((slice.OutputStep(row, step) * Plan.Directions) + slice.Direction) * Plan.Units;

        private readonly void Clear(long index)
        {
            var record = IRecurrentCell.RecordVectors * Plan.Units;
            new Span<float>(Records + (index * record), record).Clear();
            new Span<float>(PreviousHidden + (index * Plan.Units), Plan.Units).Clear();
        }
    }

    /// <summary>A part's scratch memory.</summary>
    private readonly struct Memory(float* start, int rows, int units, int paddedUnits)
    {
        public readonly int PaddedUnits = paddedUnits;

        public readonly float* BiasGradient = start;

        public readonly float* Zeros = start + (IRecurrentCell.RecordVectors * units);

        /// <summary>Gradients of the rows' states, and of their gates' hidden shares.</summary>
        public readonly float* Hidden = start + ((IRecurrentCell.RecordVectors + 1) * units);

        public readonly float* Cell = start + ((IRecurrentCell.RecordVectors + 1) * units) + (rows * paddedUnits);

        public readonly float* Product = start + ((IRecurrentCell.RecordVectors + 1) * units) + (rows * (paddedUnits + units));
    }
}
