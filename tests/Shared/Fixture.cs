namespace Tessera.Testing;

/// <summary>Finds reference outputs: those copied beside the tests, and those of a <c>shared</c> folder beside the checkout.</summary>
internal static class Fixture
{
    /// <summary>The path of a file or folder under the test project's <c>Fixtures/</c>.</summary>
    public static string Local(string relative) => Path.Combine(AppContext.BaseDirectory, "Fixtures", relative);

    /// <summary>The path of a file or folder in the <c>shared</c> folder beside the checkout, or null where there is none.</summary>
    public static string? Shared(string relative)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var candidate = Path.Combine(folder.FullName, "shared", relative);
            if (Path.Exists(candidate)) return candidate;
        }

        return null;
    }
}

/// <summary>A test that needs data from the <c>shared</c> folder beside the checkout and says so where it is skipped.</summary>
public sealed class SharedFactAttribute : FactAttribute
{
    /// <summary>Skips the test unless <c>shared/<paramref name="needs"/></c> exists.</summary>
    public SharedFactAttribute(string needs)
    {
        if (Fixture.Shared(needs) is null) Skip = $"needs shared/{needs} beside the checkout, which is not here";
    }
}
