using Tessera.Tensors;

namespace Tessera.Nn.Weights;

/// <summary>
/// What a part multiplies by: W [outputs, inputs], or [groups, outputs, inputs] of several alike. A part owns it
/// (<see cref="Module.Own(string, Weight)"/>) and keeps it for life; how it is stored and computed with is its <see cref="WeightForm"/>,
/// which is exchanged from outside (<see cref="Module.ReplaceWeights"/>), so that compression, adapters and parallelism never edit a part.
/// </summary>
public sealed class Weight
{
    private volatile WeightForm _form;

    /// <summary>A weight of a form. Two weights may begin with the same one, as a tied head and its embedding do.</summary>
    public Weight(WeightForm form)
    {
        ArgumentNullException.ThrowIfNull(form);
        _form = form;
    }

    /// <summary>A weight that is one tensor.</summary>
    /// <param name="parameter">[outputs, inputs] or [groups, outputs, inputs].</param>
    public Weight(Parameter parameter)
        : this(new StoredForm(parameter))
    {
    }

    /// <summary>How it is stored; another one has the same shape.</summary>
    /// <exception cref="ArgumentException">The new form has another shape.</exception>
    public WeightForm Form
    {
        get => _form;
        set
        {
            RequireFits(value);
            _form = value;
        }
    }

    /// <summary>Whether it is a table whose rows are looked up, rather than a map.</summary>
    public bool IsTable { get; init; }

    /// <summary>[outputs, inputs] or [groups, outputs, inputs].</summary>
    public Shape Shape => _form.Shape;

    /// <summary>How many groups there are; 1 where there is one matrix.</summary>
    public int Groups => Shape.Rank == 3 ? Shape[0] : 1;

    /// <summary>The width of y.</summary>
    public int Outputs => Shape[Shape.Rank - 2];

    /// <summary>The width of x.</summary>
    public int Inputs => Shape[Shape.Rank - 1];

    /// <summary>The memory it takes.</summary>
    public long Bytes => _form.Bytes;

    /// <summary><c>y = x Wᵀ + b</c>.</summary>
    /// <param name="x">[…, inputs].</param>
    /// <param name="bias">[outputs], or none.</param>
    /// <param name="context">Whether it trains.</param>
    /// <returns>[…, outputs].</returns>
    /// <exception cref="ShapeException">Shapes do not fit, or there are groups.</exception>
    public Tensor Apply(Activations x, Tensor? bias, ForwardContext context) => _form.Apply(x, bias, context);

    /// <summary><c>y[i] = x[i] W[g]ᵀ</c> for the rows i of each group g; see
    /// <see cref="Op.GroupedLinear(Activations, Tensor, Tensor)"/>.</summary>
    /// <param name="x">[slots, inputs], rows sorted by group.</param>
    /// <param name="offsets">I32 [groups + 1]: the first row of each group, and where the last ends.</param>
    /// <param name="context">Whether it trains.</param>
    /// <returns>[slots, outputs].</returns>
    /// <exception cref="ShapeException">Shapes do not fit, or there are no groups.</exception>
    public Tensor ApplyGrouped(Activations x, Tensor offsets, ForwardContext context) => _form.ApplyGrouped(x, offsets, context);

    /// <summary>Some of the rows of each head as a matrix of its own, without a gradient; see <see cref="Op.HeadLinear"/>.</summary>
    /// <param name="x">[…, heads, count], or […, heads, inputs] where transposed.</param>
    /// <param name="first">The first of a head's rows that are used.</param>
    /// <param name="count">How many of them.</param>
    /// <param name="transposed">Whether rows of the matrix are outputs.</param>
    /// <returns>[…, heads, inputs], or […, heads, count] where transposed.</returns>
    /// <exception cref="ShapeException">Shapes do not fit.</exception>
    public Tensor ApplyPerHead(Tensor x, int first, int count, bool transposed) => _form.ApplyPerHead(x, first, count, transposed);

    /// <summary>Rows of W, as an embedding looks them up: <c>y[…] = scale · W[ids[…]]</c>.</summary>
    /// <param name="ids">I32 […], each from 0 to outputs − 1.</param>
    /// <param name="scale">Multiplies the rows.</param>
    /// <returns>[…, inputs].</returns>
    /// <exception cref="ShapeException">There is no such row, or there are groups.</exception>
    public Tensor Rows(Tensor ids, float scale) => _form.Rows(ids, scale);

    /// <summary>W itself where it is one tensor as it stands, of whatever type, for operations that are fused with it; else null.</summary>
    public Tensor? AsTensor => _form.AsTensor;

    internal void RequireFits(WeightForm form)
    {
        ArgumentNullException.ThrowIfNull(form);
        if (form.Shape == Shape) return;
        throw new ArgumentException($"a weight of {Shape} cannot take the form {form.Description} of {form.Shape}");
    }
}
