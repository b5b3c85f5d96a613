// Submit a job over native gRPC and watch it to its end, with code that `buf generate --template buf.gen.go.yaml` made.
// Reads DC1_URL and DC1_RENTER_KEY: `go run examples/watch_job.go "Why is the sea blue?"`, with GO111MODULE=off and build/generate/go in GOPATH.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net/url"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/structpb"

	dcp "dc1/gen/dcp/v1"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func run(prompt string) error {
	connection, err := dial(os.Getenv("DC1_URL"))
	if err != nil {
		return err
	}
	defer connection.Close()
	jobs := dcp.NewJobServiceClient(connection)
	ctx := metadata.AppendToOutgoingContext(context.Background(), "x-renter-key", os.Getenv("DC1_RENTER_KEY"))

	params, err := structpb.NewStruct(map[string]interface{}{"prompt": prompt})
	if err != nil {
		return err
	}
	kind, minutes := "llm_inference", 3.0
	order := &dcp.SubmitJobRequest{JobType: &kind, DurationMinutes: &minutes, Params: params}
	job, err := jobs.SubmitJob(ctx, order)
	if err != nil {
		return err
	}
	events, err := jobs.WatchJob(ctx, &dcp.WatchJobRequest{JobId: job.JobId})
	if err != nil {
		return err
	}
	for {
		event, err := events.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if line := event.GetLine(); line != nil {
			fmt.Println(line.Line)
		}
	}
	result, err := jobs.GetResult(ctx, &dcp.GetResultRequest{JobId: job.JobId})
	if err != nil {
		return err
	}
	fmt.Println(result.GetText(), result.GetActualCostHalala(), "halala")
	return nil
}

func dial(address string) (*grpc.ClientConn, error) {
	where, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	target := where.Host
	if where.Scheme != "https" {
		return grpc.Dial(target, grpc.WithInsecure())
	}
	if !strings.Contains(target, ":") {
		target += ":443"
	}
	return grpc.Dial(target, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{})))
}
