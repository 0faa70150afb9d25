using System.Globalization;

namespace Nephos.Probe.Tests.Cloud;

/// <summary>What servers need: an image of a mebibyte, a network, two flavors.</summary>
internal sealed record CloudFixture(string Image, string Network, string SmallFlavor, string LargeFlavor)
{
    private const int ImageBytes = 1 << 20;

    public static async Task<CloudFixture> CreateAsync(CloudClient cloud)
    {
        var image = (string)(await cloud.MustAsync(HttpMethod.Post, "/image/v2/images", new { name = "probe", disk_format = "raw", container_format = "bare" }))["id"]!;
        var content = new byte[ImageBytes];
        new Random(1).NextBytes(content);
        await cloud.MustAsync(HttpMethod.Put, $"/image/v2/images/{image}/file", content);
        var network = (string)(await cloud.MustAsync(HttpMethod.Post, "/network/v2.0/networks", new { network = new { name = "probe" } }))["network"]!["id"]!;
        await cloud.MustAsync(HttpMethod.Post, "/network/v2.0/subnets", new { subnet = new { network_id = network, cidr = "10.90.0.0/24", ip_version = 4 } });
        return new CloudFixture(image, network, await FlavorAsync(cloud, 64), await FlavorAsync(cloud, 128));
    }

    private static async Task<string> FlavorAsync(CloudClient cloud, int memoryMib)
    {
        var name = string.Create(CultureInfo.InvariantCulture, $"probe-{memoryMib}");
        var body = new { flavor = new { name, ram = memoryMib, vcpus = 1, disk = 0 } };
        return (string)(await cloud.MustAsync(HttpMethod.Post, "/compute/v2.1/flavors", body))["flavor"]!["id"]!;
    }
}
