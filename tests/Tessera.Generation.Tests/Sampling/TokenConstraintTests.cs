using FsCheck;
using FsCheck.Fluent;
using Tessera.Generation.Sampling;
using Tessera.Models;

namespace Tessera.Generation.Tests.Sampling;

public sealed class TokenConstraintTests
{
    private const int Vocabulary = 70;

    [Fact]
    public void A_mask_is_a_set_of_tokens() =>
        Prop.ForAll(Gen.Choose(1, 200).ToArbitrary(), Tokens(0, 199), Tokens(0, 199), (vocabulary, some, others) =>
        {
            (some, others) = ([.. some.Where(token => token < vocabulary)], [.. others.Where(token => token < vocabulary)]);
            var (mask, other) = (new TokenMask(vocabulary), new TokenMask(vocabulary));
            Assert.Equal(vocabulary, mask.Count);
            mask.ForbidAll();
            Assert.Equal(0, mask.Count);
            foreach (var token in some) mask[token] = true;
            foreach (var token in others) other[token] = false;
            mask.And(other);
            int[] expected = [.. some.Except(others).Order()];
            Assert.Equal(expected, Allowed(mask));
            Assert.Equal(expected.Length, mask.Count);
            var logits = Enumerable.Repeat(1f, vocabulary).ToArray();
            mask.Apply(logits);
            Assert.Equal(expected, Enumerable.Range(0, vocabulary).Where(token => logits[token] == 1));
            Assert.Equal(vocabulary - expected.Length, logits.Count(float.IsNegativeInfinity));
            mask.AllowAll();
            Assert.Equal(vocabulary, mask.Count);
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Masks_and_tokens_of_another_vocabulary_are_told()
    {
        var mask = new TokenMask(65);
        AssertTold<ArgumentOutOfRangeException>("there is no token 65; allowed: 0 to 64", () => mask[65] = true);
        Assert.Throws<ArgumentOutOfRangeException>(() => mask[65]);
        Assert.Throws<ArgumentOutOfRangeException>(() => mask[-1] = true);
        AssertTold<ArgumentException>("a mask of 66 tokens", () => mask.And(new TokenMask(66)));
        AssertTold<ArgumentException>("64 logits", () => mask.Apply(new float[64]));
        Assert.Throws<ArgumentOutOfRangeException>(() => new AllowedTokens(3, 65).Restrict(mask));
        Assert.Throws<ArgumentOutOfRangeException>(() => new ForbiddenTokens(65).Restrict(mask));
        Assert.False(new MinimumLength(0, 65).Restrict(mask));
        new MinimumLength(2, 65, 3).Restrict(mask);
        Assert.False(mask[3]);
    }

    /// <summary>Accepts, takes back and forks in any order; what may come is always what follows from the tokens that stand.</summary>
    [Fact]
    public void What_may_come_follows_from_the_tokens_that_stand()
    {
        (Func<TokenConstraint> Make, Func<IReadOnlyList<int>, int, bool> Allows)[] constraints =
        [
            (() => new AllowedTokens(1, 5, 64, 69), (_, token) => token is 1 or 5 or 64 or 69),
            (() => new ForbiddenTokens(0, 63), (_, token) => token is not (0 or 63)),
            (() => new MinimumLength(3, 2, 69), (tokens, token) => tokens.Count >= 3 || token is not (2 or 69)),
            (() => new TakingTurns(), (tokens, token) => token % 3 == tokens.Count % 3),
            (() => new CombinedConstraint(new ForbiddenTokens(3), new MinimumLength(2, 1), new TakingTurns()),
                (tokens, token) => token != 3 && (tokens.Count >= 2 || token != 1) && token % 3 == tokens.Count % 3),
        ];
        foreach (var (make, allows) in constraints)
            Prop.ForAll(Tokens(-4, Vocabulary - 1), steps =>
            {
                var (constraint, tokens) = (make(), new List<int>());
                TokenConstraint? left = null;
                int[] standing = [];
                foreach (var step in steps)
                {
                    if (step == -4)
                    {
                        (left, standing) = (constraint, [.. tokens]);
                        constraint = constraint.Fork();
                    }
                    else if (step < 0)
                    {
                        var back = Math.Min(-step, tokens.Count);
                        constraint.Rollback(back);
                        tokens.RemoveRange(tokens.Count - back, back);
                    }
                    else if (allows(tokens, step))
                    {
                        constraint.Accept(step);
                        tokens.Add(step);
                    }
                    else AssertTold<ArgumentException>($"does not allow token {step}", () => constraint.Accept(step));

                    AssertAllows(constraint, tokens);
                }

                if (left is not null) AssertAllows(left, standing);
            }).QuickCheckThrowOnFailure();

        static int[] Restricted(TokenConstraint constraint)
        {
            var mask = new TokenMask(Vocabulary);
            var isRestricted = constraint.Restrict(mask);
            Assert.Equal(isRestricted, mask.Count < Vocabulary);
            return Allowed(mask);
        }

        void AssertAllows(TokenConstraint constraint, IReadOnlyList<int> tokens)
        {
            var allows = constraints.First(one => one.Make().Name == constraint.Name).Allows;
            Assert.Equal(Enumerable.Range(0, Vocabulary).Where(token => allows(tokens, token)), Restricted(constraint));
        }
    }

    [Fact]
    public void No_more_is_taken_back_than_was_accepted()
    {
        var length = new MinimumLength(3, 2);
        length.Accept(5);
        AssertTold<ArgumentOutOfRangeException>("2 tokens cannot be taken back; allowed: 0 to 1", () => length.Rollback(2));
        TokenConstraint[] all = [length, new AllowedTokens(1), new ForbiddenTokens(1), new CombinedConstraint(length)];
        foreach (var constraint in all)
            Assert.Throws<ArgumentOutOfRangeException>(() => constraint.Rollback(-1));
    }

    /// <summary>Beams as many as there are sequences, so each must have a constraint of its own.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Beams_find_the_best_of_all_sequences_that_may_come(bool readsSource)
    {
        for (ulong seed = 1; seed <= 4; seed++)
        {
            var model = TinyModel.Build(readsSource, vocabulary: 7, seed);
            int[][] all = [.. Sequences([], 4, 7)];
            Assert.InRange(all.Length, 20, 64);
            var best = all.MaxBy(ids => TinyModel.Score(model, [3, 4], ids) / ids.Length)!;
            var options = new BeamOptions(64) { Constraint = new TakingTurns() };
            var found = Generator.Generate(model, [[5], [3, 4]], options, maxNewTokens: 4)[1];
            Assert.Equal(best, found.FinishReason == FinishReason.StopToken ? [.. found.Ids, SpecialTokens.End] : found.Ids);
            Assert.Equal(TinyModel.Score(model, [3, 4], best) / best.Length, found.Score, 1e-4);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Greedy_takes_the_likeliest_of_those_that_may_come_and_samples_take_no_other(bool readsSource)
    {
        for (ulong seed = 1; seed <= 6; seed++)
        {
            var model = TinyModel.Build(readsSource, vocabulary: 12, seed);
            var options = new GreedyOptions { Constraint = new TakingTurns() };
            var greedy = Generator.Generate(model, [[3, 4], [5, 9, 1]], options, maxNewTokens: 9)[1];
            int[] ids = [.. greedy.Ids, .. greedy.FinishReason == FinishReason.StopToken ? [SpecialTokens.End] : (int[])[]];
            for (var place = 0; place < ids.Length; place++)
            {
                var next = TinyModel.LogProbabilities(model, [5, 9, 1], ids.Take(place));
                var max = Enumerable.Range(0, 12).Where(token => token % 3 == place % 3).Max(token => next[token]);
                Assert.Equal(place % 3, ids[place] % 3);
                Assert.InRange(next[ids[place]], max - 1e-5, max);
            }

            var sampling = new SamplingOptions(2, Seed: seed) { Constraint = new TakingTurns() };
            var drawn = Generator.Generate(model, [[3, 4], [5]], sampling, maxNewTokens: 9);
            Assert.All(drawn, found => Assert.Equal(found.Ids.Select((_, place) => place % 3), found.Ids.Select(token => token % 3)));
        }
    }

    [Fact]
    public void A_text_has_its_least_length_however_it_is_decoded()
    {
        var shorter = 0;
        for (ulong seed = 1; seed <= 8; seed++)
        {
            var model = TinyModel.Build(readsSource: true, vocabulary: 6, seed);
            foreach (var options in new DecodingOptions[] { new GreedyOptions(), new SamplingOptions(Seed: seed), new BeamOptions(3) })
            {
                var found = Generator.Generate(model, [[4, 2], [5, 2]], options with { MinNewTokens = 5 }, maxNewTokens: 8);
                Assert.All(found, one => Assert.InRange(one.Ids.Count, 5, 8));
                shorter += Generator.Generate(model, [[4, 2], [5, 2]], options, maxNewTokens: 8).Count(one => one.Ids.Count < 5);
            }
        }

        Assert.InRange(shorter, 5, 48);
    }

    [Fact]
    public void A_constraint_that_allows_nothing_is_named_with_the_place_and_all_before_it_stands()
    {
        var model = TinyModel.Build(readsSource: false, vocabulary: 12, seed: 3);
        var options = new GreedyOptions { Constraint = new TakingTurns(until: 4) };
        foreach (var kind in new DecodingOptions[] { options, new SamplingOptions(), new BeamOptions(2) })
        {
            var any = kind with { Constraint = options.Constraint };
            var error = Assert.Throws<NoTokenAllowedException>(() => Generator.Generate(model, [[5, 9]], any, 9, stopTokens: []));
            Assert.Equal("TakingTurns allows no token at position 4 of sequence 0", error.Message);
        }

        var given = new List<int>();
        Assert.Throws<NoTokenAllowedException>(() =>
        {
            foreach (var token in Generator.Stream(model, [5, 9], options, 9, stopTokens: [])) given.Add(token);
        });
        Assert.Equal([0, 1, 2, 0], given.Select(token => token % 3));
    }

    [Fact]
    public void After_a_refusal_tokens_can_be_taken_back_and_others_chosen()
    {
        var (sampler, constraint) = (new GreedySampler(), new TakingTurns(until: 2));
        float[] logits = [1, 2, 3, 4, 5, 6];
        foreach (var token in new[] { 3, 4 }) constraint.Accept(token);
        Assert.Throws<NoTokenAllowedException>(() => sampler.Choose(logits, new TokenHistory([9, 3, 4], 1), constraint));
        constraint.Rollback(1);
        Assert.Equal(4, sampler.Choose(logits, new TokenHistory([9, 3], 1), constraint).Token);
        Assert.Equal([1f, 2, 3, 4, 5, 6], logits);
    }

    private static void AssertTold<TException>(string expected, Action action) where TException : Exception =>
        Assert.Contains(expected, Assert.Throws<TException>(action).Message, StringComparison.Ordinal);

    private static Arbitrary<int[]> Tokens(int from, int to) => Gen.Choose(from, to).ArrayOf().ToArbitrary();

    private static int[] Allowed(TokenMask mask) => [.. Enumerable.Range(0, mask.Vocabulary).Where(token => mask[token])];

    /// <summary>All sequences of turns that end, and those of the greatest length that do not.</summary>
    private static IEnumerable<int[]> Sequences(int[] begun, int length, int vocabulary) =>
        begun.Length == length ? [begun]
            : Enumerable.Range(0, vocabulary).Where(token => token % 3 == begun.Length % 3)
                .SelectMany(token => token == SpecialTokens.End ? [[.. begun, token]] : Sequences([.. begun, token], length, vocabulary));

    /// <summary>Token i leaves the rest i mod 3 when it is divided by 3; after so many, none may come.</summary>
    private sealed class TakingTurns(int until = int.MaxValue) : TokenConstraint
    {
        private readonly Stack<int> _tokens = [];

        public override bool Restrict(TokenMask allowed)
        {
            for (var token = 0; token < allowed.Vocabulary; token++)
                if (!Allows(token)) allowed[token] = false;
            return true;
        }

        public override void Accept(int token)
        {
            if (!Allows(token)) throw NotAllowed(token, "it is not its turn");
            _tokens.Push(token);
        }

        public override void Rollback(int tokens)
        {
            for (; tokens > 0; tokens--) _tokens.Pop();
        }

        public override TokenConstraint Fork()
        {
            var fork = new TakingTurns(until);
            foreach (var token in _tokens.Reverse()) fork._tokens.Push(token);
            return fork;
        }

        private bool Allows(int token) => _tokens.Count < until && token % 3 == _tokens.Count % 3;
    }
}
