using System.Text.RegularExpressions;
using System.Xml.Linq;
using Xunit;

namespace Nephos.Architecture.Tests;

/// <summary>Holds the table of arrows in docs/ARCHITECTURE.md against the project files.</summary>
public sealed partial class ArrowTests
{
    private static readonly string Root = FindRoot();

    public static TheoryData<string> Projects => [.. ProjectFiles().Keys.Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Projects))]
    public void A_project_references_only_what_its_row_names(string project)
    {
        var arrows = Arrows();
        Assert.True(arrows.ContainsKey(project), $"docs/ARCHITECTURE.md has no row for {project} in its table of arrows.");
        Assert.Equal(arrows[project].Order(StringComparer.Ordinal), References(ProjectFiles()[project]).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Every_row_of_the_table_is_a_project()
    {
        Assert.Empty(Arrows().Keys.Except(ProjectFiles().Keys, StringComparer.Ordinal));
    }

    [Fact]
    public void Every_project_is_in_the_solution()
    {
        var solution = File.ReadAllText(Path.Combine(Root, "Microservices.sln"));
        var missing = Directory.EnumerateFiles(Root, "*.csproj", SearchOption.AllDirectories)
            .Select(file => Path.GetRelativePath(Root, file).Replace('/', '\\'))
            .Where(file => !solution.Contains(file, StringComparison.Ordinal));
        Assert.Empty(missing);
    }

    [Fact]
    public void No_service_names_the_namespace_of_another()
    {
        string[] services = ["Identity", "Images", "Networking", "BlockStorage", "ObjectStorage", "Compute", "Hypervisor"];
        var offences =
            from service in services
            from file in Directory.EnumerateFiles(Path.Combine(Root, "services", service), "*.cs", SearchOption.AllDirectories)
            where !file.Contains("/obj/", StringComparison.Ordinal)
            from other in services
            where other != service && Regex.IsMatch(File.ReadAllText(file), $@"^using Nephos\.{other}\b", RegexOptions.Multiline)
            select $"{Path.GetRelativePath(Root, file)} uses Nephos.{other}";
        Assert.Empty(offences);
    }

    private static string FindRoot()
    {
        var directory = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(directory, "Microservices.sln")))
        {
            directory = Path.GetDirectoryName(directory) ?? throw new InvalidOperationException("The tests run outside the repository.");
        }
        return directory;
    }

    private static Dictionary<string, string> ProjectFiles() =>
        new[] { "protos", "services", "storage-engine", "load-tests" }
            .SelectMany(folder => Directory.EnumerateFiles(Path.Combine(Root, folder), "*.csproj", SearchOption.AllDirectories))
            .ToDictionary(file => Path.GetFileNameWithoutExtension(file), StringComparer.Ordinal);

    private static IEnumerable<string> References(string file) =>
        XDocument.Load(file).Descendants("ProjectReference")
            .Select(reference => Path.GetFileNameWithoutExtension(((string)reference.Attribute("Include")!).Replace('\\', '/')));

    private static Dictionary<string, string[]> Arrows()
    {
        var text = File.ReadAllText(Path.Combine(Root, "docs", "ARCHITECTURE.md"));
        var table = text[text.IndexOf("## Arrows", StringComparison.Ordinal)..];
        table = table[..table.IndexOf("## Ports", StringComparison.Ordinal)];
        return Row().Matches(table)
            .Where(match => match.Groups[1].Value is not ("from" or "---"))
            .ToDictionary(
                match => match.Groups[1].Value,
                match => match.Groups[2].Value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries),
                StringComparer.Ordinal);
    }

    [GeneratedRegex(@"^\| *([A-Za-z-]+) *\|([^|]*)\|$", RegexOptions.Multiline)]
    private static partial Regex Row();
}
