using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.DependencyInjection;
using Nephos.Hosting;
using Nephos.Hosting.Configuration;
using Xunit;

namespace Nephos.Services.Tests.Hosting;

public sealed class OptionsTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("nephos-options-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Settings_that_are_known_and_in_their_bounds_are_taken()
    {
        await using var app = NephosApplication.Build([Bakery, Elsewhere], Settings(
            ("Bakery:Ovens", "3"), ("Bakery:Rest", "00:00:05"), ("Bakery:Prices:bread", "2.5"), ("Bakery:Towns:0", "Bern"), ("Bakery:Cellar:Depth", "4"),
            ("bakery:kind", "stone"), ("Mill:Anything", "at all"), ("Logging:LogLevel:Default", "None")));

        var options = app.Services.GetRequiredService<BakeryOptions>();

        Assert.Equal((3, TimeSpan.FromSeconds(5), OvenKind.Stone, 4), (options.Ovens, options.Rest, options.Kind, options.Cellar.Depth));
        Assert.Equal(["Bern"], options.Towns);
        Assert.Equal(2.5, options.Prices["bread"]);
    }

    [Theory]
    [InlineData("Bakery:Oven", "3", "Bakery has no setting 'Oven'; did you mean 'Ovens'?")]
    [InlineData("Bakry:Ovens", "3", "There is no section 'Bakry'; did you mean 'Bakery'?")]
    [InlineData("Stat:Engine", "Etcd", "There is no section 'Stat'; did you mean 'State'?")]
    [InlineData("Bakery:Windows", "3", "Bakery has no setting 'Windows'; known are Cellar, Kind, Ovens, Prices, Rest, Towns")]
    [InlineData("Bakery:Ovens", "many", "Bakery:Ovens cannot be 'many': it is a whole number")]
    [InlineData("Bakery:Rest", "soon", "Bakery:Rest cannot be 'soon': it is a time as [days.]hours:minutes:seconds")]
    [InlineData("Bakery:Kind", "tin", "Bakery:Kind cannot be 'tin': it is one of Stone, Steel")]
    [InlineData("Bakery:Ovens:0", "3", "Bakery:Ovens is one value and has no part '0'")]
    [InlineData("Bakery:Towns", "Bern", "Bakery:Towns is no single value; its parts are set, as in Bakery:Towns:0")]
    [InlineData("Bakery:Towns:first", "Bern", "Bakery:Towns is a list: its parts are named 0, 1, 2 and so on, not 'first'")]
    [InlineData("Bakery:Prices:bread", "cheap", "Bakery:Prices:bread cannot be 'cheap': it is a number")]
    [InlineData("Bakery:Cellar:Dept", "3", "Bakery:Cellar has no setting 'Dept'; did you mean 'Depth'?")]
    [InlineData("Bakery:Cellar:Depth", "-1", "Bakery:Cellar:Depth: The field Depth must be between 0 and 9.")]
    [InlineData("Bakery", "3", "Bakery is a section and has no value of its own")]
    [InlineData("Nephos:ListenAddress", "here", "Nephos:ListenAddress: 'here' is not * and not an IP address")]
    [InlineData("Nephos:TlsCertificateFile", "/nowhere/cert.pem", "Nephos:TlsCertificateFile: there is no file /nowhere/cert.pem")]
    [InlineData("Nephos:Services:image", "ftp://a", "Nephos:Services: 'ftp://a' of image is not an http or https address")]
    [InlineData("State:ReservedBytes", "-1", "State:ReservedBytes: The field ReservedBytes must be between 0 and 1099511627776.")]
    [InlineData("State:History:MaxBatches", "1", "State:History:MaxBatches: The field MaxBatches must be between 16 and 1000000.")]
    [InlineData("Nephos:Roles:0", "backery", "Nephos:Roles: there is no role 'backery'; did you mean 'bakery'?")]
    public void A_setting_that_is_wrong_is_refused_with_what_was_probably_meant(string name, string value, string problem)
    {
        var refused = Assert.Throws<ValidationException>(() => NephosApplication.Build([Bakery, Elsewhere], Settings((name, value))));

        Assert.Contains(problem, refused.Message.Split(Environment.NewLine));
    }

    [Fact]
    public void All_problems_of_the_process_and_of_its_roles_are_told_at_once()
    {
        var refused = Assert.Throws<ValidationException>(() => NephosApplication.Build([Bakery, Elsewhere], Settings(
            ("Nephos:PortBase", "80"), ("Nephos:NodeName", "No Name"), ("Nephos:Colour", "red"), ("State:Engine", "Paper"), ("Bakery:Ovens", "-3"),
            ("Bakery:Rest", "-00:00:01"), ("ServiceUser:UserName", ""), ("Sewer:Depth", "3"))));

        var problems = refused.Message.Split(Environment.NewLine);
        string[] expected =
        [
            "Nephos:PortBase: ", "Nephos:NodeName: ", "Nephos has no setting 'Colour'", "State:Engine cannot be 'Paper'", "Bakery:Ovens: ", "Bakery:Rest: ",
            "ServiceUser:UserName: ", "There is no section 'Sewer'",
        ];
        Assert.All(expected, start => Assert.Single(problems, problem => problem.StartsWith(start, StringComparison.Ordinal)));
        Assert.Equal(expected.Length, problems.Length);
    }

    [Fact]
    public void Every_role_names_the_sections_of_its_options()
    {
        foreach (var role in Nephos.Host.Roles.All)
        {
            var builder = Microsoft.AspNetCore.Builder.WebApplication.CreateEmptyBuilder(new());
            role.Add(builder);

            // It may name more: what the role takes when another one is in the same process.
            Assert.Empty(builder.Services.Select(service => service.ImplementationInstance).OfType<OptionsSection>().Select(section => section.Name)
                .Except(role.Sections));
        }
    }

    private static Role Bakery { get; } = new("bakery", builder => builder.Services.AddNephosOptions<BakeryOptions>("Bakery"), _ => { }) { Sections = ["Bakery"] };

    private static Role Elsewhere { get; } = new("mill", _ => { }, _ => { }) { Sections = ["Mill"] };

    private List<KeyValuePair<string, string?>> Settings(params (string Name, string Value)[] settings) =>
    [
        new("Nephos:StateDirectory", _folder.FullName), .. settings.Select(setting => KeyValuePair.Create(setting.Name, (string?)setting.Value)),
    ];

    private enum OvenKind
    {
        Stone,
        Steel,
    }

    private sealed class BakeryOptions
    {
        [Range(1, 100)]
        public int Ovens { get; set; } = 1;

        [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
        public TimeSpan Rest { get; set; } = TimeSpan.FromMinutes(1);

        public OvenKind Kind { get; set; } = OvenKind.Steel;

        public string[] Towns { get; set; } = [];

        public Dictionary<string, double> Prices { get; set; } = [];

        public CellarOptions Cellar { get; set; } = new();

        public bool IsOpen => Ovens > 0;
    }

    private sealed class CellarOptions
    {
        [Range(0, 9)]
        public int Depth { get; set; }
    }
}
