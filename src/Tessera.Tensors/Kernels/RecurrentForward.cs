using System.Runtime.CompilerServices;

namespace Tessera.Tensors.Kernels;

/// <summary>The time loop of a recurrent cell, for one direction or for two at once.</summary>
internal static unsafe class RecurrentForward
{
    /// <summary>What the loop reads and writes; D directions, each of its own place in the arrays.</summary>
    public readonly ref struct Arrays
    {
        /// <summary>[D, B, T, 4H]: see <see cref="IRecurrentCell"/>.</summary>
        public required Span<float> Records { get; init; }

        /// <summary>[D] recurrent weights, transposed and packed, or nothing for <see cref="Products"/>.</summary>
        public required ReadOnlySpan<float> Weights { get; init; }

        /// <summary>The recurrent weights times the initial state, where there is one step, for which packing does not pay:
        /// [D, B, <see cref="RecurrentProduct.Padded"/> gates]; else nothing.</summary>
        public required Span<float> Products { get; init; }

        /// <summary>[D, 4H], laid out as a record is.</summary>
        public required ReadOnlySpan<float> Bias { get; init; }

        /// <summary>[B, T, D H]; zero after a row's end.</summary>
        public required Span<float> Outputs { get; init; }

        /// <summary>[D, B, T, H] cells after each step, or nothing where nobody will ask.</summary>
        public required Span<float> Cells { get; init; }

        /// <summary>[D, B, H], or nothing for zeros.</summary>
        public required ReadOnlySpan<float> InitialHidden { get; init; }

        /// <inheritdoc cref="InitialHidden"/>
        public required ReadOnlySpan<float> InitialCell { get; init; }

        /// <summary>[D, B, H].</summary>
        public required Span<float> FinalHidden { get; init; }

        /// <summary>[D, B, H], or nothing where the cell's kind has none.</summary>
        public required Span<float> FinalCell { get; init; }

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

    /// <summary>Runs all sequences from their first step to their last.</summary>
    public static void Run<TCell>(RecurrentPlan plan, in Arrays arrays) where TCell : struct, IRecurrentCell
    {
        fixed (int* order = arrays.Order, ends = arrays.Ends)
        fixed (
            float* records = arrays.Records,
                weights = arrays.Weights,
                bias = arrays.Bias,
                outputs = arrays.Outputs,
                cells = arrays.Cells)
        fixed (float* initialHidden = arrays.InitialHidden, initialCell = arrays.InitialCell, products = arrays.Products)
        fixed (float* finalHidden = arrays.FinalHidden, finalCell = arrays.FinalCell, scratch = arrays.Scratch)
        {
            plan.Order = order;
            plan.Ends = ends;
            var work = new Work<TCell>
            {
                Plan = plan, Records = records, Weights = weights, Products = products, Bias = bias, Outputs = outputs, Cells = cells,
                InitialHidden = initialHidden,
                InitialCell = initialCell,
                FinalHidden = finalHidden,
                FinalCell = finalCell,
                Scratch = scratch,
            };
            Simd.Run(ref work, plan.Parts);
        }
    }

    private static int ScratchOfPart<TCell>(in RecurrentPlan plan) where TCell : struct, IRecurrentCell =>
        plan.LargestSlice * ((2 * plan.Units) + RecurrentProduct.Padded(TCell.Gates * plan.Units));

    private struct Work<TCell> : IVectorWork where TCell : struct, IRecurrentCell
    {
        public RecurrentPlan Plan;
        public float* Records, Weights, Products, Bias, Outputs, Cells, InitialHidden, InitialCell, FinalHidden, FinalCell, Scratch;

        public void Run<V>(int part) where V : struct, ILanes<V>
        {
            var slice = Plan.Of(part);
            var units = Plan.Units;
            var width = TCell.Gates * units;
            var padded = RecurrentProduct.Padded(width);
            var weights = Weights + ((long)slice.Direction * units * padded);
            var hidden = Scratch + ((long)part * ScratchOfPart<TCell>(Plan));
            var cell = hidden + (slice.Rows * units);
            var product = cell + (slice.Rows * units);

            for (var row = 0; row < slice.Rows; row++)
            {
                Copy(InitialHidden, slice.State(row), hidden + (row * units), units);
                Copy(InitialCell, slice.State(row), cell + (row * units), units);
            }

            var running = slice.Rows;
            for (var step = 0; step < Plan.Length; step++)
            {
                while (running > 0 && slice.End(running - 1) <= step) running--;
                if (Products is null)
                    RecurrentProduct.Multiply<V>(hidden, units, running, weights, units, width, product, padded, accumulate: false);
                for (var row = 0; row < running; row++)
                    Step<V>(
                        slice, row, step, hidden, cell,
                        Products is null ? product + (row * padded) : Products + (slice.State(row) * padded));
                for (var row = running; row < slice.Rows; row++) new Span<float>(Output(slice, row, step), units).Clear();
            }

            for (var row = 0; row < slice.Rows; row++)
            {
                var final = slice.State(row) * units;
                new Span<float>(hidden + (row * units), units).CopyTo(new Span<float>(FinalHidden + final, units));
                if (FinalCell is not null) new Span<float>(cell + (row * units), units).CopyTo(new Span<float>(FinalCell + final, units));
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void Step<V>(in RecurrentPlan.Slice slice, int row, int step, float* hidden, float* cell, float* product)
            where V : struct, ILanes<V>
        {
            var units = Plan.Units;
            var index = slice.Step(row, step);
            var at = new RecurrentForwardRow
            {
                Units = units,
                Record = Records + (index * IRecurrentCell.RecordVectors * units),
                Bias = Bias + (slice.Direction * IRecurrentCell.RecordVectors * units),
                Product = product,
                Hidden = hidden + (row * units),
                Cell = cell + (row * units),
                HiddenCopy = Output(slice, row, step),
                CellCopy = Cells is null ? cell + (row * units) : Cells + (index * units),
            };
            var j = 0;
            for (; j + V.Count <= units; j += V.Count) TCell.Forward<V>(at, j);
            for (; j < units; j++) TCell.Forward<Lanes1>(at, j);
        }

        private readonly float* Output(in RecurrentPlan.Slice slice, int row, int step) =>
            Outputs + (((slice.OutputStep(row, step) * Plan.Directions) + slice.Direction) * Plan.Units);

        private static void Copy(float* from, long index, float* to, int units)
        {
            var target = new Span<float>(to, units);
            if (from is null) target.Clear();
            else new Span<float>(from + (index * units), units).CopyTo(target);
        }
    }
}
