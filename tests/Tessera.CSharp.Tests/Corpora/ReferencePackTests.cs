using Tessera.CSharp.Corpora;
using Tessera.Text.Tests.Corpora;

namespace Tessera.CSharp.Tests.Corpora;

public sealed class ReferencePackTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private void Add(string version, string framework, string file = "A.dll") =>
        _folder.Write($"Made.Up.Ref/{version}/ref/{framework}/{file}", "");

    private ReferencePack Find() => ReferencePack.Find("Made.Up.Ref", _folder.Path);

    [Theory]
    [InlineData("10.0.2", "9.0.11", "10.0.2", "8.0.100")]
    [InlineData("10.0.0", "10.0.0-rc.1.25451.107", "10.0.0", "9.0.0")]
    [InlineData("11.0.0-preview.1", "10.0.9", "11.0.0-preview.1")]
    [InlineData("10.0.0-rc.2", "10.0.0-rc.1", "10.0.0-rc.2")]
    [InlineData("1.0.0", "1.0.0", "backup")]
    public void The_newest_version_is_found(string newest, params string[] versions)
    {
        foreach (var version in versions) Add(version, "net10.0");
        Assert.Equal(newest, Find().Version);
    }

    [Fact]
    public void The_newest_framework_that_has_assemblies_is_found()
    {
        Add("1.0.0", "net9.0");
        Add("1.0.0", "net10.0");
        Add("1.0.0", "netstandard2.1");
        Add("1.0.0", "net11.0", "only.txt");
        Add("2.0.0", "net12.0", "only.txt");
        Assert.Equal("Made.Up.Ref 1.0.0 (net10.0)", Find().ToString());
    }

    [Fact]
    public void Files_come_in_ordinal_order()
    {
        foreach (var file in new[] { "b.dll", "A.dll", "a.xml", "C.dll" }) Add("1.0.0", "net10.0", file);
        Assert.Equal(["A.dll", "C.dll", "b.dll"], Find().Assemblies.Select(Path.GetFileName));
        Assert.Equal(["a.xml"], Find().Documentation.Select(Path.GetFileName));
    }

    [Fact]
    public void A_pack_that_is_nowhere_is_an_error_that_says_where_it_was_looked_for_and_what_to_do()
    {
        var message = Assert.Throws<DirectoryNotFoundException>(() => Find()).Message;
        Assert.StartsWith($"there is no reference pack Made.Up.Ref; looked in {_folder.Path}, ", message, StringComparison.Ordinal);
        Assert.Contains($"dotnet{Path.DirectorySeparatorChar}packs", message, StringComparison.Ordinal);
        Assert.Contains(".NET SDK", message, StringComparison.Ordinal);
        Assert.Contains("dotnet-targeting-pack-10.0", message, StringComparison.Ordinal);
        Assert.Contains("data.packsFolder", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_packs_folder_that_does_not_exist_is_an_error_whatever_the_SDK_has()
    {
        var error = Assert.Throws<DirectoryNotFoundException>(() => new ApiPairsOptions(PacksFolder: "nowhere").Load(_folder.Path));
        Assert.Equal($"data.packsFolder: there is no folder {Path.Combine(_folder.Path, "nowhere")}", error.Message);
    }
}
