using System.CommandLine;
using Google.Protobuf;
using ImageWire = Nephos.Protos.Image.V1;
using NetworkWire = Nephos.Protos.Network.V1;

namespace Nephos.Host.Commands;

/// <summary><c>nephos seed</c>: an external network and a default image, once; what is deleted later stays deleted.</summary>
internal static class SeedCommand
{
    public const string DefaultImage = "nephos-guest";
    private const string ExternalNetwork = "public";
    private const string ExternalCidr = "172.24.4.0/24";
    private const int UploadBytes = 512 * 1024;
    private const string Mark = "seeded";
    private const string ImageMark = "seeded-image";

    public static Command Create()
    {
        var state = ServeCommand.StateOption();
        var image = new Option<FileInfo?>("--image") { Description = "The default image, qcow2" };
        var needsImage = new Option<bool>("--needs-image") { Description = "Seed all but the image; fail when an image was seeded already" };
        var command = new Command("seed", "Seed an external network and a default image") { state, image, needsImage };
        command.SetAction(async (parse, cancellationToken) =>
        {
            var directory = parse.GetValue(state)!;
            if (!File.Exists(MarkOf(directory, Mark)))
            {
                using var connection = await AdminConnection.OpenAsync(directory, cancellationToken);
                await SeedNetworkAsync(connection, cancellationToken);
                await File.WriteAllTextAsync(MarkOf(directory, Mark), "", cancellationToken);
            }
            if (parse.GetValue(image) is { } file)
            {
                using var connection = await AdminConnection.OpenAsync(directory, cancellationToken);
                await SeedImageAsync(connection, file, cancellationToken);
                await File.WriteAllTextAsync(MarkOf(directory, ImageMark), "", cancellationToken);
            }
            return parse.GetValue(needsImage) && File.Exists(MarkOf(directory, ImageMark)) ? 1 : 0;
        });
        return command;
    }

    private static string MarkOf(string stateDirectory, string name) => Path.Combine(stateDirectory, "run", name);

    private static async Task SeedNetworkAsync(AdminConnection connection, CancellationToken cancellationToken)
    {
        var networks = new NetworkWire.Networks.NetworksClient(connection.Channel);
        var found = await networks.ListNetworksAsync(
            new NetworkWire.ListNetworksRequest { Filter = new NetworkWire.NetworkFilter { Names = { ExternalNetwork }, External = true } }, connection.Options(cancellationToken));
        var network = found.Networks.FirstOrDefault() ?? await networks.CreateNetworkAsync(
            new NetworkWire.CreateNetworkRequest
            {
                Name = ExternalNetwork,
                External = true,
                Type = NetworkWire.NetworkType.Flat,
                PhysicalNetwork = ExternalNetwork,
                IdempotencyKey = "seed-public",
            },
            connection.Options(cancellationToken));
        if (network.SubnetIds.Count > 0)
        {
            return;
        }
        await new NetworkWire.Subnets.SubnetsClient(connection.Channel).CreateSubnetAsync(
            new NetworkWire.CreateSubnetRequest
            {
                NetworkId = network.Id,
                Name = "public-subnet",
                IpVersion = 4,
                Cidr = ExternalCidr,
                GatewayIp = "172.24.4.1",
                AllocationPools = { new NetworkWire.AllocationPool { Start = "172.24.4.10", End = "172.24.4.250" } },
                EnableDhcp = false,
                IdempotencyKey = "seed-public-subnet",
            },
            connection.Options(cancellationToken));
    }

    private static async Task SeedImageAsync(AdminConnection connection, FileInfo file, CancellationToken cancellationToken)
    {
        var client = new ImageWire.Images.ImagesClient(connection.Channel);
        var image = await client.CreateImageAsync(
            new ImageWire.CreateImageRequest
            {
                Name = DefaultImage,
                Visibility = ImageWire.Visibility.Public,
                DiskFormat = "qcow2",
                ContainerFormat = "bare",
                IdempotencyKey = "seed-image",
            },
            connection.Options(cancellationToken));
        if (image.Status == ImageWire.ImageStatus.Active)
        {
            return;
        }
        using var upload = client.UploadImage(connection.Options(cancellationToken));
        await upload.RequestStream.WriteAsync(
            new ImageWire.UploadImageRequest { Header = new ImageWire.UploadImageRequest.Types.Header { ImageId = image.Id, SizeBytes = file.Length } }, cancellationToken);
        await using var data = file.OpenRead();
        var buffer = new byte[UploadBytes];
        int read;
        while ((read = await data.ReadAsync(buffer, cancellationToken)) > 0)
        {
            await upload.RequestStream.WriteAsync(new ImageWire.UploadImageRequest { Data = ByteString.CopyFrom(buffer.AsSpan(0, read)) }, cancellationToken);
        }
        await upload.RequestStream.CompleteAsync();
        await upload.ResponseAsync;
    }
}
