using Tessera.CSharp.Corpora;
using Tessera.Text.Corpora;

namespace Tessera.CSharp.Tests.Corpora;

/// <summary>The pairs of the installed SDK's base class library, read once for all tests.</summary>
public sealed class ApiCorpus
{
    public ApiCorpus()
    {
        Corpus = new ApiPairsOptions().Load(".");
        All = [.. Corpus.Train, .. Corpus.Validation, .. Corpus.Test];
    }

    public Corpus Corpus { get; }

    public IReadOnlyList<Example> All { get; }
}
