using Tessera.Generation.Sampling;
using Tessera.Generation.Search;
using Tessera.Models;
using Tessera.Models.Decoding;
using Tessera.Tensors;
using Tessera.Testing;

namespace Tessera.Generation.Tests;

/// <summary>Tests that need the thread team to themselves: they run while no other test does.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class AloneCollection
{
    public const string Name = "alone";
}

/// <summary>Managed memory that decoding allocates for a token, on all threads that take part, once tokens have been decoded
/// before.</summary>
[Collection(AloneCollection.Name)]
public sealed class DecodingAllocationTests
{
    private const int Before = 20, Measured = 60;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Sixty_tokens_chosen_greedily_allocate_nothing(bool readsSource) => AllocatesNothing(readsSource, new GreedyOptions());

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Sixty_tokens_drawn_at_random_allocate_nothing(bool readsSource) =>
        AllocatesNothing(readsSource, new SamplingOptions(0.8f, 40, 0.95f, 3));

    [Fact]
    public void Sixty_tokens_under_a_constraint_and_without_repeated_runs_allocate_nothing() => AllocatesNothing(
        readsSource: false, new GreedyOptions { NoRepeatNgramSize = 4, MinNewTokens = 40, Constraint = new ForbiddenTokens(7, 11, 299) });

    /// <summary>What is computed a token depends on how many there are: buffers grow, and tables and lists of free blocks with
    /// them.</summary>
    [Fact]
    public void Tokens_of_a_sequence_that_grows_long_allocate_nothing()
    {
        var model = TinyModel.Build(readsSource: false, 300, 1);
        var session = new DecodingSession(model);
        session.Reserve(1, 1400);
        var sequence = session.Add();
        Decode(100);
        Assert.Equal(0, TeamAllocation.During(() => Decode(1200)));

        void Decode(int count)
        {
            for (var i = 0; i < count; i++)
            {
                sequence.Read(5);
                using (Arena.Current.Scope()) session.Step();
            }
        }
    }

    private static void AllocatesNothing(bool readsSource, DecodingOptions options)
    {
        int[][] prompts = [[5, 4, 9, 2], [1, 7, 3, 2], [1, 3, 3, 2]];
        var model = Enumerable.Range(1, 50).Select(seed => TinyModel.Build(readsSource, 300, (ulong)seed)).First(DoesNotEnd);
        var tokens = Run(model).GetEnumerator();
        for (var i = 0; i < Before * prompts.Length; i++) Assert.True(tokens.MoveNext());
        Assert.Equal(0, TeamAllocation.During(() =>
        {
            for (var i = 0; i < Measured * prompts.Length; i++) tokens.MoveNext();
        }));
        Assert.True(tokens.MoveNext());

        bool DoesNotEnd(SequenceModel model) => Run(model).Count() == (Before + Measured + 1) * prompts.Length;

        IEnumerable<(int Prompt, int Token)> Run(SequenceModel model) =>
            new StepwiseSearch(model, options, Before + Measured + 1, [SpecialTokens.End]).Run(
                prompts, [0, 1, 2], new Generated[prompts.Length], default);
    }
}
