using Tessera.Tensors;

namespace Tessera.Nn.Caches;

/// <summary>Puts together what is computed run by run of a step: [1, tokens, …].</summary>
/// <param name="step">Has the runs.</param>
/// <param name="shape">The shape of the whole.</param>
public ref struct StepResult(DecodingStep step, Shape shape)
{
    /// <summary>What has been put together.</summary>
    public Tensor Whole { get; private set; } = null!;

    /// <summary>The tokens of a run as a batch: [sequences, tokens each, …].</summary>
    /// <param name="x">[1, tokens, …].</param>
    /// <param name="run">Whose tokens.</param>
    public static Tensor Part(Tensor x, StepRun run)
    {
        var flat = x.Reshape(x.Shape.Rank == 4 ? [x.Shape[1], x.Shape[2], x.Shape[3]] : [x.Shape[1], x.Shape[2]]);
        var part = flat.Slice(run.FirstToken, run.Tokens);
        return part.Reshape(x.Shape.Rank == 4
            ? [run.Sequences, run.TokensEach, x.Shape[2], x.Shape[3]]
            : [run.Sequences, run.TokensEach, x.Shape[2]]);
    }

    /// <summary>Adds the result of a run; one of a step that is one run is not copied.</summary>
    /// <param name="run">The run.</param>
    /// <param name="y">[sequences, tokens each, …].</param>
    public void Add(StepRun run, Tensor y)
    {
        if (step.Runs.Length == 1)
        {
            Whole = y.Reshape(WithTokens(y.Shape));
            return;
        }

        Whole ??= Tensor.Temporary(WithTokens(y.Shape));
        var flat = Whole.Reshape([step.Tokens, (int)(y.Shape.Count / run.Tokens)]);
        Op.Convert(y.Reshape([run.Tokens, flat.Shape[1]]), flat.Slice(run.FirstToken, run.Tokens));
    }

    private readonly Shape WithTokens(Shape y) => shape.Rank == 4 ? [1, step.Tokens, y[2], y[3]] : [1, step.Tokens, y[2]];
}
